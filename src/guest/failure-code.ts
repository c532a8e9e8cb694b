/** What VMware's client library returns on failure, and our `getcontent` exits with. Codes that nothing leads to are left out. */
export const failureCode = {
  invalidParameter: 4,
  createOutputFile: 6,
  writeOutputFile: 7,
  connectGeneric: 8,
  connectServiceNotRunning: 9,
  connectPermissionDenied: 10,
  connectSecurityViolation: 11,
  connectPeerReset: 12,
  send: 13,
  receive: 14,
  contentForbidden: 15,
  contentNotFound: 16,
  server: 17,
  cancelled: 18,
} as const;

export type FailureName = keyof typeof failureCode;

export type FailureCode = (typeof failureCode)[FailureName];
