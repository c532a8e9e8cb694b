import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

/** Facts go into fields, the message stays constant: `log.info({ item, digest }, 'item published')`. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  child(fields: Record<string, unknown>): Log;
  /**
   * Runs `work`; until it and all that it starts has ended, every line bears `fields`, whoever writes it with this log or
   * a child of it. A scope within a scope replaces fields of the same name and keeps the others.
   */
  scope<T>(fields: Readonly<Record<string, unknown>>, work: () => T): T;
};

const options: LoggerOptions = {
  base: null,
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { level: (label) => ({ level: label }) },
};

/** JSON lines to `destination` (standard output by default). `level` is one of pino's names. */
export function createLog(level: string, destination?: DestinationStream): Log {
  const scopes = new AsyncLocalStorage<Readonly<Record<string, unknown>>>();
  // A copy each time: pino writes the line's own fields into it.
  const all: LoggerOptions = { ...options, level, mixin: () => ({ ...scopes.getStore() }) };
  const logger = destination === undefined ? pino(all) : pino(all, destination);
  const scope: Log['scope'] = (fields, work) => scopes.run({ ...scopes.getStore(), ...fields }, work);
  // Children are made by pino with their parent as prototype, so they have it too.
  return Object.assign(logger, { scope }) as unknown as Log;
}

/** For tests and for commands that speak to people. */
export const silent: Log = createLog('silent');
