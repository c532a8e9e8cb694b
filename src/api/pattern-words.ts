/** What the patterns of the schemas ask for, in words: nobody should have to read a regular expression to name a thing. */
const words: readonly (readonly [pattern: string, meaning: string])[] = [
  ['^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', 'small letters, digits and "-", with a letter or digit first and last'],
  [
    '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
    'small letters, digits, "-" and ".", with a letter or digit first and last in each part',
  ],
  ['^sha256:[0-9a-f]{64}$', 'sha256: and 64 digits of 0-9 and a-f, as "sha256sum FILE" prints them'],
  ['^([0-9]{1,5}(h|m|s|ms)){1,4}$', 'a duration such as 30s, 5m or 1h30m'],
  ['^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTP]i|[kMGTP]|[eE][0-9]{1,2})?$', 'a size such as 512Mi, 4Gi or 1000000'],
  ['^[A-Za-z0-9+/]*={0,2}$', 'base64 in one line, as "base64 -w0 FILE" prints it'],
  ['^[-._a-zA-Z0-9]+$', 'letters, digits, "-", "_" and "."'],
  [
    '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$',
    'letters, digits, "-", "_" and ".", with a letter or digit first and last',
  ],
  [
    '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
    'the key of a label, such as tier or example.com/tier',
  ],
  ['^[A-Za-z0-9][-A-Za-z0-9._:/@]*$', 'a reference such as registry.example/agents:11'],
  ['^(https?|ssh)://[^ ]+$', 'an address such as https://git.example/fleet.git'],
  ['^[A-Za-z0-9][-A-Za-z0-9._/+]*$', 'a branch, tag or commit such as main or v1.2'],
  [
    '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
    'a host name such as files.example.com, or *.example.com',
  ],
  ['^[a-z0-9][-a-z0-9]*$', 'small letters, digits and "-"'],
  ['^[a-z0-9][-.a-z0-9]*$', 'small letters, digits, "-" and "."'],
  ['^-----BEGIN PUBLIC KEY-----', 'PEM that begins with -----BEGIN PUBLIC KEY-----'],
  [
    '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    'a UUID in small letters, such as 564d1f2a-0000-4c5b-9d4e-0123456789ab',
  ],
];

export function patternWords(pattern: string): string {
  return words.find(([known]) => known === pattern)?.[1] ?? `it must match ${pattern}`;
}
