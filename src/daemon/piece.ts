/** Bytes: what is read, hashed and sent at a time, and the largest content that is kept in memory. */
export const pieceSize = 256 * 1024;

const page = 4096;
/** What the C library keeps before a block that it gets straight from the kernel, as large ones are. */
const blockHeader = 16;

/**
 * A buffer for file contents, beginning at a page where the allocator is glibc's. Processors with fast `rep movsb` (AMD
 * Zen) copy at less than half their speed between a page and a place that lies some 16 bytes behind the beginning of
 * another, which is just where a large buffer begins by itself.
 */
export function createPiece(size: number): Buffer {
  const start = page - blockHeader;
  return Buffer.allocUnsafeSlow(size + page).subarray(start, start + size);
}
