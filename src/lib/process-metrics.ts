import { readdirSync, readFileSync } from 'node:fs';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

const gcKinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/**
 * What every process has, under the names of Prometheus' client libraries (`process_*`) and of Node's usual one
 * (`nodejs_*`). Read at each scrape, from memory and /proc; what a system does not tell is left out.
 */
export function registerProcessMetrics(metrics: Metrics): Disposable {
  const cpu = (read: (usage: NodeJS.CpuUsage) => number) => () => read(process.cpuUsage()) / 1e6;
  metrics.counterOf(
    'process_cpu_user_seconds_total',
    'Processor time in user mode.',
    cpu(({ user }) => user),
  );
  metrics.counterOf(
    'process_cpu_system_seconds_total',
    'Processor time in the kernel.',
    cpu(({ system }) => system),
  );
  metrics.counterOf(
    'process_cpu_seconds_total',
    'Processor time.',
    cpu(({ user, system }) => user + system),
  );
  const startedAt = Date.now() / 1000 - process.uptime();
  metrics.gaugeOf('process_start_time_seconds', 'When the process began, in seconds since 1970.', () => startedAt);
  metrics.gaugeOf('process_resident_memory_bytes', 'Memory in use.', () => process.memoryUsage.rss());
  metrics.gaugeOf('process_virtual_memory_bytes', 'Address space in use.', virtualMemory);
  metrics.gaugeOf('process_open_fds', 'File descriptors that are open.', openDescriptors);
  metrics.gaugeOf('process_max_fds', 'File descriptors that may be open.', mostDescriptors);
  const memory = (read: (usage: NodeJS.MemoryUsage) => number) => () => read(process.memoryUsage());
  metrics.gaugeOf(
    'nodejs_heap_size_total_bytes',
    'Heap that V8 has taken.',
    memory(({ heapTotal }) => heapTotal),
  );
  metrics.gaugeOf(
    'nodejs_heap_size_used_bytes',
    'Heap in use.',
    memory(({ heapUsed }) => heapUsed),
  );
  metrics.gaugeOf(
    'nodejs_external_memory_bytes',
    'Memory beside the heap, buffers included.',
    memory((all) => all.external),
  );
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
  metrics
    .gauge('nodejs_version_info', 'Version of Node.')
    .set(1, { version: `v${process.versions.node}`, major, minor, patch });
  return watchCollections(metrics);
}

function watchCollections(metrics: Metrics): Disposable {
  const durations = metrics.histogram(
    'nodejs_gc_duration_seconds',
    'Time of garbage collections by kind.',
    [0.001, 0.01, 0.1, 1, 2, 5],
  );
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail, duration } = entry as PerformanceEntry & { readonly detail?: { readonly kind?: number } };
      const kind = gcKinds[detail?.kind ?? -1];
      if (kind !== undefined) durations.observe(duration / 1000, { kind });
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return { [Symbol.dispose]: () => observer.disconnect() };
}

function virtualMemory(): number | undefined {
  const [, kilobytes] = /^VmSize:\s+(\d+) kB$/m.exec(readProc('status')) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

function mostDescriptors(): number | undefined {
  const [, most] = /^Max open files\s+(\d+)/m.exec(readProc('limits')) ?? [];
  return most === undefined ? undefined : Number(most);
}

function openDescriptors(): number | undefined {
  try {
    // Less the one with which the folder is read.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return undefined;
  }
}

/** Empty where there is no /proc. */
function readProc(file: string): string {
  try {
    return readFileSync(`/proc/self/${file}`, 'utf8');
  } catch {
    return '';
  }
}
