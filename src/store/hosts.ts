import { constants } from 'node:fs';
import { chown, mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../lib/errors.ts';
import { canonicalJson } from './canonical.ts';
import { attempt, unlessMissing } from './failure.ts';
import { type Fields, fieldsOf, isRecord, parseJson } from './fields.ts';
import { type Layout, layoutOf, safeName } from './layout.ts';
import { processMark, proveProcess } from './process-mark.ts';
import type { Acknowledgement } from './types.ts';

/** Bounds on what is believed of a daemon: its folder is the one place in a store that others than the operator write. */
const maxBytes = 1024 * 1024;
const maxHosts = 10_000;
const maxInstances = 16;
const maxRefused = 4_096;
const maxErrors = 64;
/** Characters. */
const maxText = 1_024;
/** Milliseconds: a heartbeat that is older counts for nothing. */
const fresh = 20_000;

/** Replaced whole. Not forced onto disk: after a power cut the next heartbeat says more than this one. */
export async function writeAcknowledgement(layout: Layout, acknowledgement: Acknowledgement): Promise<void> {
  const folder = join(layout.hosts, safeName(acknowledgement.host, 'host'));
  const path = join(folder, `${safeName(acknowledgement.instance, 'instance')}.json`);
  // Beside its target: hosts/ may be all that the daemon can write to.
  const temporary = join(folder, `.${acknowledgement.instance}.tmp`);
  await attempt('write', path, async () => {
    await mkdir(folder, { mode: 0o700 }).catch((thrown: unknown) => {
      if (errnoOf(thrown) !== 'EEXIST') throw thrown;
    });
    await writeFile(temporary, `${canonicalJson(acknowledgement)}\n`, { mode: 0o600 });
    for (const made of [folder, temporary]) await giveToOwner(made, layout.hosts);
    await rename(temporary, path);
  });
}

/** A daemon that is root may serve an operator who is not: what it makes belongs to whom `hosts` belongs, who has to read it. */
async function giveToOwner(made: string, hosts: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const [{ uid, gid }, found] = await Promise.all([stat(hosts), stat(made)]);
  // A file system that maps users may refuse even what would change nothing.
  if (found.uid !== uid || found.gid !== gid) await chown(made, uid, gid);
}

export async function removeAcknowledgement(layout: Layout, host: string, instance: string): Promise<void> {
  const folder = join(layout.hosts, safeName(host, 'host'));
  const path = join(folder, `${safeName(instance, 'instance')}.json`);
  await attempt('remove', path, async () => {
    await rm(path, { force: true });
    // The last one closes the door; another instance's file keeps the folder.
    await rmdir(folder).catch((thrown: unknown) => {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoOf(thrown) ?? '')) throw thrown;
    });
  });
}

/** All that can be believed. A file that is too large, no file at all or says nonsense is passed over, and the others count. */
export async function readAcknowledgements(layout: Layout): Promise<readonly Acknowledgement[]> {
  const hosts = await attempt('read', layout.hosts, () => unlessMissing(() => readdir(layout.hosts)));
  const read = (hosts ?? []).slice(0, maxHosts).map((host) => readHost(layout, host));
  return (await Promise.all(read)).flat();
}

async function readHost(layout: Layout, host: string): Promise<readonly Acknowledgement[]> {
  const folder = join(layout.hosts, host);
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => /^[A-Za-z0-9].*\.json$/.test(name)).slice(0, maxInstances);
  const read = await Promise.all(
    files.map((name) => readOne(join(folder, name), host, name.slice(0, -'.json'.length))),
  );
  return read.filter((acknowledgement) => acknowledgement !== undefined);
}

async function readOne(path: string, host: string, instance: string): Promise<Acknowledgement | undefined> {
  try {
    const text = await readBounded(path);
    if (text === undefined) return undefined;
    const acknowledgement = parseAcknowledgement(fieldsOf(parseJson(text, path), path));
    return acknowledgement.host === host && acknowledgement.instance === instance ? acknowledgement : undefined;
  } catch {
    // Written by a process that may lie; the operator's answer to nonsense is that this daemon said nothing.
    return undefined;
  }
}

/** Follows no link and waits for nobody (a FIFO in a file's place would block for ever). */
async function readBounded(path: string): Promise<string | undefined> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const found = await handle.stat();
  if (!found.isFile() || found.size > maxBytes) return undefined;
  const buffer = Buffer.alloc(found.size);
  const { bytesRead } = await handle.read(buffer, 0, found.size, 0);
  return buffer.toString('utf8', 0, bytesRead);
}

function parseAcknowledgement(fields: Fields): Acknowledgement {
  return {
    host: short(fields.text('host')),
    instance: short(fields.text('instance')),
    seq: fields.count('seq'),
    heartbeat: fields.time('heartbeat'),
    startedAt: fields.time('startedAt'),
    pid: fields.count('pid'),
    process: short(fields.text('process')),
    formats: fields
      .list('formats')
      .filter((format) => typeof format === 'number')
      .slice(0, 16),
    version: short(fields.text('version')),
    space: isRecord(fields.raw.space) ? spaceOf(fields.fields('space')) : null,
    refused: Object.fromEntries(Object.entries(fields.fields('refused').raw).slice(0, maxRefused).map(refusalOf)),
    errors: fields.list('errors').slice(0, maxErrors).map(errorOf),
  };
}

function spaceOf(fields: Fields): { readonly free: number; readonly total: number } {
  return { free: fields.count('free'), total: fields.count('total') };
}

function refusalOf([vm, raw]: readonly [string, unknown]): readonly [string, { reason: string; message: string }] {
  const fields = fieldsOf(raw, 'refusal');
  return [short(vm), { reason: short(fields.text('reason')), message: short(fields.text('message')) }];
}

function errorOf(raw: unknown): { readonly code: string; readonly message: string } {
  const fields = fieldsOf(raw, 'error');
  return { code: short(fields.text('code')), message: short(fields.text('message')) };
}

function short(text: string): string {
  return text.slice(0, maxText);
}

/**
 * Removes acknowledgements of this host whose process is proven gone, so that a daemon which was killed holds back nobody.
 * Returns the instances removed.
 */
export async function sweepInstances(folder: string, host: string, now: Date): Promise<readonly string[]> {
  const layout = layoutOf(folder);
  const removed: string[] = [];
  for (const acknowledgement of await readHost(layout, safeName(host, 'host'))) {
    if (!isGone(acknowledgement, now)) continue;
    await removeAcknowledgement(layout, host, acknowledgement.instance);
    removed.push(acknowledgement.instance);
  }
  return removed;
}

/** Removes what daemons of a host left that have been silent; one that speaks again meanwhile writes anew. */
export async function forgetSilent(layout: Layout, host: string, now: Date): Promise<void> {
  for (const { heartbeat, instance } of await readHost(layout, safeName(host, 'host'))) {
    if (now.getTime() - Date.parse(heartbeat) > fresh) await removeAcknowledgement(layout, host, instance);
  }
}

function isGone(acknowledgement: Acknowledgement, now: Date): boolean {
  const proof = proveProcess(acknowledgement);
  if (proof !== 'unknown') return proof === 'gone';
  // Of another boot: the machine was restarted, unless two machines share a name. A stale heartbeat settles it.
  const [boot] = acknowledgement.process.split('/');
  const stale = now.getTime() - Date.parse(acknowledgement.heartbeat) > fresh;
  return stale && boot !== bootOfThis();
}

function bootOfThis(): string | undefined {
  return processMark().process.split('/')[0];
}
