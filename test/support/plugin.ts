import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createHttpChannel } from '../../src/guest/http-channel.ts';
import { defaultPluginSettings, type PluginSettings, startPlugin } from '../../src/guest/plugin.ts';
import { createLog } from '../../src/lib/log.ts';
import { testFolder } from './folder.ts';
import { type Script, type ScriptedChannel, startScriptedChannel } from './scripted-channel.ts';

export interface TestPlugin {
  readonly pipe: string;
  readonly host: ScriptedChannel;
  /** The plugin's log lines so far. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** A plugin in this process, its host played by `script`; both end with the running test. */
export async function startTestPlugin(script: Script, settings: Partial<PluginSettings> = {}): Promise<TestPlugin> {
  const folder = await testFolder();
  const lines: string[] = [];
  const log = createLog('debug', { write: (line) => lines.push(line) });
  const hostPath = join(folder, 'host');
  const pipe = join(folder, 'vmware', 'guestStorePipe');
  const host = await startScriptedChannel(hostPath, script);
  onTestFinished(() => host[Symbol.asyncDispose]());
  const plugin = await startPlugin(
    pipe,
    createHttpChannel(hostPath),
    { ...defaultPluginSettings, ...settings },
    log,
    Date.now,
  );
  const stop = once(() => plugin[Symbol.asyncDispose]());
  onTestFinished(stop);
  return { pipe, host, lines, stop };
}

function once(action: () => PromiseLike<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= Promise.resolve(action());
    return done;
  };
}
