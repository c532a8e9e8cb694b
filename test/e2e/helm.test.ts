import { cp } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chart, createHelm } from '../support/helm.ts';
import { createInstallation, type Installation } from '../support/installation.ts';
import { manifestsFolder } from '../support/kustomize.ts';
import { askRaw } from '../support/raw-client.ts';

// What the newcomer with Helm sees: install, the sample fleet, a look.

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({
    install: async (server, folder) => {
      const helm = await createHelm(folder, server.kubeconfig);
      await helm(['install', 'gueststore', chart, '--namespace', 'gueststore-system', '--create-namespace']);
    },
  });
  await cp(`${manifestsFolder}samples/import`, installation.imports, { recursive: true });
  await installation.startOperator();
  await installation.startDaemon('localhost');
  await installation.kubectl(['apply', '--server-side', '--filename', `${manifestsFolder}samples/fleet`]);
  await installation.kubectl(
    'wait --for=condition=Ready --timeout=60s -n fleet --all gueststorerepository,contentitem,vmaccesspolicy,guestvm'.split(
      ' ',
    ),
  );
  // The operator looks after hosts by itself, so a moment may pass before it has heard of this one.
  await installation.kubectl('wait --for=create --timeout=60s gueststorehost/localhost'.split(' '));
  await installation.kubectl('wait --for=condition=Ready --timeout=60s gueststorehost/localhost'.split(' '));
  // Building helm takes minutes, once a machine.
}, 1_200_000);

afterAll(() => installation?.[Symbol.asyncDispose]());

test('kubectl get gueststore -A tells of every object what it is, whether it is Ready, why, and since when', async () => {
  const table = await installation.kubectl(['get', 'gueststore', '--all-namespaces']);
  console.log(table);
  const blocks = table.trim().split('\n\n');
  expect(blocks.length).toBeGreaterThanOrEqual(4);
  for (const block of blocks) {
    const [header = '', ...rows] = block.split('\n');
    expect(header).toMatch(/NAME .*READY .*REASON .*AGE$/);
    for (const row of rows) {
      expect(row).toMatch(/ True +(Served|Published|Heartbeat) .* \d+[smh]+\d*s?$/);
    }
  }
});

test('a guest gets what was declared, and kubectl explains how it was', async () => {
  const answer = await askRaw(
    installation.socket('localhost', 'fleet', 'web-7'),
    'GET /config/motd.txt HTTP/1.1\r\n\r\n',
  );
  expect(answer.text).toMatch(/^HTTP\/1.1 200 .*Welcome/s);
  const explained = await installation.kubectl(['explain', 'contentitem.spec.source']);
  for (const source of ['inline', 'configMapKeyRef', 'secretKeyRef', 'http', 'file'])
    expect(explained).toMatch(new RegExp(`^  ${source}\\s+<Object>\\n\\s+\\S`, 'm'));
});
