import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { buildAnnouncement, buildProgram, findPrograms } from './kubernetes/programs.ts';

// `npm test` runs this first: it names at once everything that this machine lacks, and builds the API server if need be.

const run = promisify(execFile);

interface Need {
  readonly what: string;
  readonly why: string;
  /** Debian package. */
  readonly package: string;
  readonly has: () => Promise<boolean>;
}

const leastGo = [1, 26] as const;

const needs: readonly Need[] = [
  {
    what: 'gcc',
    why: "compiles the one-function library under which VMware's command runs outside a VMware guest",
    package: 'gcc libc6-dev',
    has: () => runs('gcc', '--version'),
  },
  {
    what: 'python3',
    why: "drives VMware's own client library",
    package: 'python3',
    has: () => runs('python3', '--version'),
  },
  {
    what: 'libguestStoreClient.so.0',
    why: "VMware's own client library",
    package: 'open-vm-tools',
    has: async () => (await output('/sbin/ldconfig', '-p')).includes('libguestStoreClient.so.0'),
  },
  {
    what: 'openssl',
    why: 'makes the certificates of web servers that content is fetched from',
    package: 'openssl',
    has: () => runs('openssl', 'version'),
  },
  {
    what: 'dockerd',
    why: 'builds and runs the image, in an engine of its own',
    package: 'docker.io iptables',
    has: () => runs('dockerd', '--version'),
  },
  {
    what: '/bin/busybox',
    why: "is the shell of the image's build",
    package: 'busybox-static',
    has: () => runs('/bin/busybox', 'true'),
  },
  {
    what: 'prometheus, promtool',
    why: 'scrapes operator and daemon, and judges alerts and queries',
    package: 'prometheus',
    has: async () => (await runs('prometheus', '--version')) && (await runs('promtool', '--version')),
  },
  {
    what: 'vmware-toolbox-cmd',
    why: "VMware's own command",
    package: 'open-vm-tools',
    has: async () => (await output('/bin/sh', '-c', 'command -v vmware-toolbox-cmd')) !== '',
  },
];

const { missing: unbuilt } = await findPrograms();
const lacking: Need[] = [];
for (const need of needs) if (!(await need.has())) lacking.push(need);
const goThere = await hasGo();
// The folders that KUBEBUILDER_ASSETS usually names hold no kube-controller-manager; few tests need it.
const vital = unbuilt.filter((name) => name !== 'kube-controller-manager');
const goNeeded = vital.length > 0 && !goThere;

if (process.getuid?.() !== 0) {
  console.error(
    'The tests mount small file systems of their own (full, read-only) and give sockets other owners: run them as root,',
  );
  console.error('\n  sudo -E npm test\n');
  process.exitCode = 1;
}

if (lacking.length > 0 || goNeeded) {
  console.error('The tests need what this machine does not have:\n');
  for (const { what, why } of lacking) console.error(`  ${what}: ${why}`);
  if (goNeeded) console.error(`  Go >= ${leastGo.join('.')}: builds ${unbuilt.join(', ')}`);
  const packages = new Set(lacking.map((need) => need.package));
  if (goNeeded) packages.add('golang-go');
  console.error(`\nOn Debian and Ubuntu:\n\n  apt-get install --no-install-recommends ${[...packages].join(' ')}\n`);
  if (goNeeded) {
    console.error(
      `Where golang-go is older than ${leastGo.join('.')}, take Go from https://go.dev/dl and put it first on PATH.`,
    );
    console.error('Or point KUBEBUILDER_ASSETS at a folder that holds these programs.\n');
  }
  process.exit(1);
}

if (unbuilt.length > 0 && !goThere) {
  console.warn(
    `Without Go there is no ${unbuilt.join(', ')}: tests of namespace deletion and aggregated roles will fail.`,
  );
} else if (process.exitCode === 1) process.exit();

if (unbuilt.length > 0) {
  console.log(`Building once for this machine, on two cores: ${buildAnnouncement(unbuilt)}.`);
  for (const name of unbuilt) {
    const start = performance.now();
    await buildProgram(name);
    console.log(`  ${name}: ${Math.round((performance.now() - start) / 1000)} s`);
  }
}

/** Whether `go` is there and new enough. */
async function hasGo(): Promise<boolean> {
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(await output('go', 'version')) ?? [];
  const [leastMajor, leastMinor] = leastGo;
  return Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor);
}

async function runs(command: string, ...args: readonly string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}

/** Standard output, empty when the command fails or does not exist. */
async function output(command: string, ...args: readonly string[]): Promise<string> {
  return run(command, args).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
