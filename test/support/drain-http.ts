import { createFetchHttp } from '../../src/sources/http.ts';

/**
 * `node drain-http.ts WARM-UP-URL URL`: reads both and prints how many bytes the second had, and by how much the peak of
 * this process's memory grew over it, as JSON.
 */
const fetchHttp = createFetchHttp({ allowLoopback: true });
const [, , warmUp = '', url = ''] = process.argv;

async function drain(from: string): Promise<number> {
  const answer = await fetchHttp({ url: from, known: undefined, maxSize: 2 ** 30 }, new AbortController().signal);
  let size = 0;
  if (answer.outcome === 'fetched') for await (const chunk of answer.bytes) size += chunk.length;
  return size;
}

await drain(warmUp);
const before = process.resourceUsage().maxRSS;
const size = await drain(url);
const grown = (process.resourceUsage().maxRSS - before) * 1024;
await fetchHttp[Symbol.asyncDispose]();
process.stdout.write(JSON.stringify({ size, grown }));
