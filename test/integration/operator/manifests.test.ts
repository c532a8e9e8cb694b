import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { createFleet, startFleet } from '../../support/fleet.ts';
import { item, policy, repository, vm, yaml } from '../../support/manifests.ts';

const ground = { 'ground.yaml': yaml(repository(), vm('web')) };

describe('a manifest that does not parse', () => {
  test('keeps its last good objects in force, also after a restart, while the other files apply', async () => {
    const fleet = await startFleet({
      files: {
        ...ground,
        'policy.yaml': yaml(policy('closed', { deny: ['/secret'] })),
        'items.yaml': yaml(item('secret', '/secret', 's'), item('motd', '/motd', 'one')),
      },
    });
    await fleet.gets('web', '/secret', 403);
    await fleet.gets('web', '/motd', 'one');

    await fleet.write({
      'policy.yaml': 'kind: [',
      'items.yaml': yaml(item('secret', '/secret', 's'), item('motd', '/motd', 'two')),
    });
    await fleet.gets('web', '/motd', 'two');
    expect((await fleet.get('web', '/secret')).status).toBe(403);
    const trouble = await eventually(async () => (await fleet.kept()).trouble.get('policy.yaml'));
    expect(trouble.findings[0]).toMatchObject({ file: 'policy.yaml', line: 1 });
    await fleet.shows('VMAccessPolicy', 'fleet/closed', { ready: true, reason: 'Served' });
    await eventually(
      () => expect(fleet.printed).toMatch(/Manifest +policy\.yaml +False +InvalidManifest +policy\.yaml:1:/) ?? true,
    );

    await fleet.restart();
    expect((await fleet.get('web', '/secret')).status).toBe(403);
    await fleet.gets('web', '/motd', 'two');

    await fleet.write({ 'policy.yaml': yaml(policy('closed', { deny: ['/motd'] })) });
    await fleet.gets('web', '/motd', 403);
    await fleet.gets('web', '/secret', 's');
    expect((await fleet.kept()).trouble.size).toBe(0);
  });

  test.each([
    ['an unknown field', yaml(policy('closed', { deny: ['/motd'] }, { typo: 1 })), /typo/],
    [
      'an unknown kind of ours',
      '{"apiVersion":"gueststore.dev/v1alpha1","kind":"Contentitem","metadata":{"name":"a"}}',
      /kind/,
    ],
    ['a rule that does not compile by itself', yaml(policy('closed', { deny: [')|(.*'] })), /deny/],
    ['a missing field', yaml({ ...item('motd', '/motd', 'x'), spec: { path: '/motd' } }), /repositoryRef|source/],
  ])('%s is refused with its place, and what was good stays', async (_, text, field) => {
    const fleet = await startFleet({
      files: {
        ...ground,
        'policy.yaml': yaml(policy('closed', { deny: ['/secret'] })),
        'motd.yaml': yaml(item('motd', '/motd', 'one')),
      },
    });
    await fleet.gets('web', '/secret', 403);
    await fleet.write({ 'policy.yaml': text });
    const trouble = await eventually(async () => (await fleet.kept()).trouble.get('policy.yaml'));
    const [finding] = trouble.findings;
    expect(`${finding?.field} ${finding?.reason}`).toMatch(field);
    expect(finding?.wayOut).not.toBe('');
    expect((await fleet.get('web', '/secret')).status).toBe(403);
    expect((await fleet.get('web', '/motd')).body.toString()).toBe('one');
  });

  test('that never was good stops nobody, and `--once` fails', async () => {
    const fleet = await createFleet({
      files: { ...ground, 'bad.yaml': 'a: b: c', 'motd.yaml': yaml(item('motd', '/motd', 'one')) },
    });
    expect(await fleet.once()).toBe(1);
    expect(fleet.printed).toMatch(/Manifest +bad\.yaml +False +InvalidManifest/);
    expect(fleet.printed).toMatch(/ContentItem +fleet\/motd +True/);
    await fleet.remove('bad.yaml');
    expect(await fleet.once()).toBe(0);
  });
});

describe('what is taken away', () => {
  test('a deleted file removes its objects, an emptied one too, and only those', async () => {
    const fleet = await startFleet({
      files: {
        ...ground,
        'a.yaml': yaml(item('a', '/a', 'a')),
        'b.yaml': yaml(item('b', '/b', 'b')),
        'c.yaml': yaml(item('c', '/c', 'c')),
      },
    });
    await fleet.gets('web', '/a', 'a');
    await fleet.remove('a.yaml');
    await fleet.write({ 'b.yaml': '' });
    await fleet.gets('web', '/a', 404);
    await fleet.gets('web', '/b', 404);
    await fleet.gets('web', '/c', 'c');
    await eventually(async () => ((await fleet.find('ContentItem', 'fleet/a')) === undefined ? true : undefined));
    expect((await fleet.kept()).trouble.size).toBe(0);
    expect(await fleet.find('ContentItem', 'fleet/b')).toBeUndefined();
  });

  test('when the folder itself is away everything stays, also over a restart', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'a')) } });
    await fleet.gets('web', '/a', 'a');
    await rename(fleet.manifests, `${fleet.manifests}.away`);
    const trouble = await eventually(async () => (await fleet.kept()).trouble.get('.'));
    expect(trouble.findings[0]?.reason).toMatch(/ENOENT/);
    expect((await fleet.get('web', '/a')).body.toString()).toBe('a');
    await fleet.restart();
    await fleet.gets('web', '/a', 'a');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served' });

    await rename(`${fleet.manifests}.away`, fleet.manifests);
    await eventually(async () => ((await fleet.kept()).trouble.size === 0 ? true : undefined));
    await fleet.write({ 'a.yaml': yaml(item('a', '/a', 'changed')) });
    await fleet.gets('web', '/a', 'changed');
  });
});

describe('one change is one revision', () => {
  test('of many files, content and policies together, as `git pull` makes it', async () => {
    const files = (version: string) =>
      Object.fromEntries(
        Array.from({ length: 40 }, (_, n) => [`items/${n}.yaml`, yaml(item(`i${n}`, `/i/${n}`, `${version} ${n}`))]),
      );
    const fleet = await startFleet({
      files: { ...ground, ...files('one'), 'z-policy.yaml': yaml(policy('p', { deny: ['/i/1'] })) },
    });
    await fleet.gets('web', '/i/39', 'one 39');
    const before = await fleet.seq();
    await fleet.write({ ...files('two'), 'z-policy.yaml': yaml(policy('p', { deny: ['/i/2'] })) });
    await fleet.gets('web', '/i/39', 'two 39');
    expect(await fleet.seq()).toBe(before + 1);
    expect((await fleet.get('web', '/i/1')).body.toString()).toBe('two 1');
    expect((await fleet.get('web', '/i/2')).status).toBe(403);
  });

  test('also when the files come slowly one by one', async () => {
    const names = Array.from({ length: 30 }, (_, n) => `${n}`);
    const file = (n: string, text: string) => ({ [`i${n}.yaml`]: yaml(item(`i${n}`, `/i/${n}`, text)) });
    const all = (text: string) => Object.assign({}, ...names.map((n) => file(n, text))) as Record<string, string>;
    const fleet = await startFleet({ files: { ...ground, ...all('one') } });
    await fleet.gets('web', '/i/29', 'one');
    const before = await fleet.seq();
    for (const n of names) {
      await fleet.write(file(n, 'two'));
      // Slower than the folder is read, faster than a change is over.
      await delay(20);
    }
    await fleet.gets('web', '/i/29', 'two');
    await fleet.gets('web', '/i/0', 'two');
    expect(await fleet.seq()).toBe(before + 1);
  });

  test('of a folder that is swapped by a symbolic link, as a mounted ConfigMap is', async () => {
    const fleet = await createFleet();
    const fill = async (version: string, files: Record<string, string>) => {
      await mkdir(join(fleet.manifests, `..${version}`));
      for (const [name, text] of Object.entries(files))
        await writeFile(join(fleet.manifests, `..${version}`, name), text);
      await symlink(`..${version}`, join(fleet.manifests, '..data_tmp'));
      await rename(join(fleet.manifests, '..data_tmp'), join(fleet.manifests, '..data'));
    };
    await fill('1', { 'all.yaml': yaml(repository(), vm('web')), 'a.yaml': yaml(item('a', '/a', 'one')) });
    for (const name of ['all.yaml', 'a.yaml']) await symlink(`..data/${name}`, join(fleet.manifests, name));
    await fleet.start();
    await fleet.gets('web', '/a', 'one');
    const before = await fleet.seq();
    await fill('2', {
      'all.yaml': yaml(repository(), vm('web'), policy('p', { deny: ['/b'] })),
      'a.yaml': yaml(item('a', '/a', 'two')),
    });
    await fleet.gets('web', '/a', 'two');
    expect((await fleet.get('web', '/b')).status).toBe(403);
    expect(await fleet.seq()).toBe(before + 1);
  });

  test('what is denied with its new content is never seen before, whichever way it goes', async () => {
    const open = yaml(item('x', '/x', 'open'), policy('p', { deny: ['/none'] }));
    const closed = yaml(item('x', '/x', 'secret'), policy('p', { deny: ['/x'] }));
    const fleet = await startFleet({ files: { ...ground, 'x.yaml': open } });
    await fleet.gets('web', '/x', 'open');
    const seen = new Set<string>();
    let going = true;
    const asking = (async () => {
      while (going) {
        const { status, body } = await fleet.get('web', '/x');
        seen.add(`${status} ${body}`);
      }
    })();
    for (let round = 0; round < 8; round++) {
      await fleet.write({ 'x.yaml': closed });
      await fleet.gets('web', '/x', 403);
      await fleet.write({ 'x.yaml': open });
      await fleet.gets('web', '/x', 'open');
    }
    going = false;
    await asking;
    expect(seen).toEqual(new Set(['200 open', '403 ']));
  });

  test('a save that writes in place is taken whole', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one')) } });
    await fleet.gets('web', '/a', 'one');
    await writeFile(join(fleet.manifests, 'a.yaml'), yaml(item('a', '/a', 'two')));
    await fleet.gets('web', '/a', 'two');
    expect((await fleet.kept()).trouble.size).toBe(0);
  });

  test('an editor that moves the old file away before it writes the new one removes nothing', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one')) } });
    await fleet.gets('web', '/a', 'one');
    const before = await fleet.seq();
    await rename(join(fleet.manifests, 'a.yaml'), join(fleet.manifests, 'a.yaml~'));
    await writeFile(join(fleet.manifests, 'a.yaml'), yaml(item('a', '/a', 'two')));
    await fleet.gets('web', '/a', 'two');
    expect(await fleet.seq()).toBe(before + 1);
  });

  test('objects that move to another file with a change keep counting their generations', async () => {
    const fleet = await startFleet({ files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'one')) } });
    await fleet.gets('web', '/a', 'one');
    await fleet.write({ 'b.yaml': yaml(item('a', '/a', 'two')) });
    await fleet.remove('a.yaml');
    await fleet.gets('web', '/a', 'two');
    await fleet.shows('ContentItem', 'fleet/a', { ready: true, reason: 'Served', generation: 2 });
  });

  test('an object that stands in two files counts once, from the first', async () => {
    const fleet = await startFleet({
      files: { ...ground, 'a.yaml': yaml(item('a', '/a', 'first')), 'b.yaml': yaml(item('a', '/a', 'second')) },
    });
    await fleet.gets('web', '/a', 'first');
    const trouble = await eventually(async () => (await fleet.kept()).trouble.get('b.yaml'));
    expect(trouble.findings[0]?.reason).toMatch(/ContentItem fleet\/a stands in a\.yaml already/);
    await fleet.remove('a.yaml');
    await fleet.gets('web', '/a', 'second');
  });
});
