import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

/** Facts go into fields, the message stays constant: `log.info({ item, digest }, 'item published')`. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & { child(fields: Record<string, unknown>): Log };

const options: LoggerOptions = {
  base: null,
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { level: (label) => ({ level: label }) },
};

/** JSON lines to `destination` (standard output by default). `level` is one of pino's names. */
export function createLog(level: string, destination?: DestinationStream): Log {
  return destination === undefined ? pino({ ...options, level }) : pino({ ...options, level }, destination);
}

/** For tests and for commands that speak to people. */
export const silent: Log = pino({ level: 'silent' });
