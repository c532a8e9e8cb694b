import { read } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { headLimits, printableLine, readRequestHead } from '../wire/request-head.ts';
import { createPiece, pieceSize } from './piece.ts';
import type { Asked, Door, Reply, ReplyEnd, ReplyFile, Service, Transport, TransportLimits } from './transport.ts';

/**
 * Buffers for downloads. A few large ones save a third of the time, which trips to Node's file threads cost; a download
 * that finds none free goes on with a small one of its own, so readers that take nothing hold little, however many they
 * are. Bytes, and counts.
 */
const largePieceSize = 4 * 1024 * 1024;
const largePieces = 4;
const sparePieces = 8;

/** What connections of all doors share. */
interface Shared {
  readonly limits: TransportLimits;
  readonly now: () => number;
  readonly open: Set<Connection>;
  /** Connections whose head is not whole, oldest first: all have the same time, so this is also the order of their ends. */
  readonly reading: Set<Connection>;
  readonly pieces: Pieces;
  /** Set while a stop waits for the last connection. */
  whenEmpty: (() => void) | undefined;
}

/** One VM's connections. */
interface Room {
  readonly service: Service;
  connections: number;
  /** Whole heads in the order in which they became whole. */
  readonly waiting: Connection[];
  current: Connection | undefined;
}

/**
 * The transport on Node's public `net` alone: there on every platform, and the measure for faster ones.
 *
 * Heads are read from all connections of a VM, so that a silent one is in nobody's way; replies go out one at a time.
 * A client that has shut its sending side is served all the same (`socat` does that), so one that is gone altogether shows
 * at the first write; where the room is full, those that closed their side give way first.
 */
export function createNodeTransport(limits: TransportLimits, now: () => number): Transport {
  const shared: Shared = {
    limits,
    now,
    open: new Set(),
    reading: new Set(),
    pieces: createPieces(),
    whenEmpty: undefined,
  };
  const sweep = setInterval(() => endLateHeads(shared), Math.max(10, Math.min(1000, limits.headTimeout / 8)));
  sweep.unref();

  return {
    name: 'node',
    listen: (path, service) => listen(shared, path, service),
    get connections() {
      return shared.open.size;
    },
    async close() {
      for (const connection of shared.reading) connection.lose('stopped');
      await drained(shared, limits.drainTimeout);
      for (const connection of shared.open) connection.end('stopped');
      clearInterval(sweep);
    },
  };
}

async function listen(shared: Shared, path: string, service: Service): Promise<Door> {
  const room: Room = { service, connections: 0, waiting: [], current: undefined };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (room.connections > shared.limits.waiting) giveWay(room);
    if (room.connections > shared.limits.waiting) turnAway(socket, service);
    else new Connection(socket, room, shared);
  });
  await listening(server, path);
  return { close: () => closed(server) };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: 511 }, () => {
      server.off('error', reject);
      // Running out of descriptors at accept is reported here; Node tries again by itself.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

/** Resolves when nothing more is accepted, not when the last connection ended. */
function closed(server: Server): Promise<void> {
  server.close();
  return Promise.resolve();
}

/** Resolves when no connection is open, or after `milliseconds`. */
function drained(shared: Shared, milliseconds: number): Promise<void> {
  if (shared.open.size === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    shared.whenEmpty = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function endLateHeads(shared: Shared): void {
  const latest = shared.now() - shared.limits.headTimeout;
  for (const connection of shared.reading) {
    if (connection.acceptedAt > latest) break;
    connection.lose('late');
  }
}

/** Waiting clients that closed their side have most likely left. */
function giveWay(room: Room): void {
  room.waiting.find((connection) => connection.ended)?.end('gone');
}

/** More than may wait: told so at once, unread. */
function turnAway(socket: Socket, service: Service): void {
  socket.on('error', () => undefined);
  void Promise.resolve(service.answer({ overloaded: true })).then((reply) => {
    socket.write(reply.first);
    socket.destroySoon();
    reply.over({ result: 'sent', bytes: 0 });
  });
}

/** One accepted connection: reads a head, waits for its turn, is answered, closes. */
class Connection {
  readonly acceptedAt: number;
  /** The client has closed its side. */
  ended = false;
  private readonly socket: Socket;
  private readonly room: Room;
  private readonly shared: Shared;
  /** Bytes of a head that came in more than one piece, and how many. */
  private head: Buffer | undefined;
  private length = 0;
  private asked: Asked | undefined;
  private reply: Reply | undefined;
  private sent = 0;
  private over = false;

  constructor(socket: Socket, room: Room, shared: Shared) {
    this.socket = socket;
    this.room = room;
    this.shared = shared;
    this.acceptedAt = shared.now();
    room.connections += 1;
    shared.open.add(this);
    shared.reading.add(this);
    socket.on('data', (bytes: Buffer) => this.read(bytes));
    socket.on('end', () => this.readEnd());
    socket.on('error', () => this.leave());
  }

  private read(bytes: Buffer): void {
    // A bare request is answered and closed: what follows it is of no use to anyone.
    if (this.asked !== undefined) {
      this.socket.pause();
      return;
    }
    const result = this.head === undefined ? readRequestHead(bytes, bytes.length) : this.readMore(bytes);
    if (result.state === 'incomplete') {
      if (this.head === undefined) this.readMore(bytes);
      return;
    }
    this.asked =
      result.state === 'request'
        ? { request: result.request }
        : { refusal: result.refusal, line: printableLine(this.head ?? bytes, this.head ? this.length : bytes.length) };
    this.head = undefined;
    this.shared.reading.delete(this);
    if (this.room.current === undefined) this.takeTurn();
    else this.room.waiting.push(this);
  }

  private readMore(bytes: Buffer): ReturnType<typeof readRequestHead> {
    this.head ??= Buffer.allocUnsafe(headLimits.head);
    const scanned = this.length;
    // What does not fit is beyond the limit already.
    this.length += bytes.copy(this.head, this.length);
    return readRequestHead(this.head, this.length, scanned);
  }

  private readEnd(): void {
    this.ended = true;
    // Half a request gets no answer, as from GuestStore's own plugin.
    if (this.asked === undefined) this.lose('gone');
  }

  takeTurn(): void {
    if (this.asked === undefined) return;
    this.room.current = this;
    const reply = this.room.service.answer(this.asked);
    if (reply instanceof Promise) void reply.then((later) => this.send(later));
    else this.send(reply);
  }

  private send(reply: Reply): void {
    if (this.over) {
      void reply.file?.handle.close();
      reply.over({ result: 'gone', bytes: 0 });
      return;
    }
    this.reply = reply;
    const { socket } = this;
    socket.write(reply.first);
    if (reply.file !== undefined) void this.sendFile(reply.file, reply.length);
    else if (socket.writableLength === 0) this.end(socket.errored === null ? 'sent' : 'gone');
    else {
      this.watchStall();
      socket.once('finish', () => this.end('sent'));
      socket.end();
    }
  }

  /** Ends a reader that takes nothing; Node restarts this timer also when a part of one write leaves. */
  private watchStall(): void {
    this.socket.setTimeout(this.shared.limits.stallTimeout, () => this.end('stalled'));
  }

  private async sendFile(file: ReplyFile, size: number): Promise<void> {
    this.watchStall();
    const { pieces } = this.shared;
    let piece = pieces.take(false);
    try {
      while (this.sent < size) {
        const count = await readAt(file.handle.fd, piece, Math.min(piece.length, size - this.sent), this.sent);
        const last = this.sent + count >= size;
        if (count === 0 || (last && !file.unchanged())) return this.end('failed');
        if (this.over) return;
        await this.write(count === piece.length ? piece : piece.subarray(0, count));
        this.sent += count;
        // A reader that took one piece may have larger ones, which others get in their turn.
        pieces.give(piece);
        piece = pieces.take(true);
      }
      this.end('sent');
    } catch {
      // A write that failed has ended the connection already; what is left is a file that cannot be read.
      this.end('failed');
    } finally {
      // A write that was broken off may still hold its piece, which is then not used again.
      pieces.give(this.socket.writableLength === 0 ? piece : undefined, piece.length);
      await file.handle.close();
    }
  }

  private write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  private leave(): void {
    if (this.asked === undefined) this.lose('gone');
    else this.end('gone');
  }

  /** Ends a connection whose head never became whole: without an answer, as GuestStore's own plugin does. */
  lose(why: 'late' | 'gone' | 'stopped'): void {
    if (this.over) return;
    this.room.service.lost(why);
    this.end('gone');
  }

  /** Everything that this connection held is free at once, and the next one has its turn. Safe to call again. */
  end(result: ReplyEnd['result']): void {
    if (this.over) return;
    this.over = true;
    const { socket, room, shared } = this;
    socket.destroy();
    shared.open.delete(this);
    if (shared.open.size === 0) shared.whenEmpty?.();
    shared.reading.delete(this);
    room.connections -= 1;
    this.reply?.over({ result, bytes: result === 'sent' ? this.reply.length : this.sent });
    // Node's handle of a closed socket, and all that hangs on it, lives until the next full collection.
    this.reply = undefined;
    this.head = undefined;
    if (room.current === this) {
      room.current = undefined;
      room.waiting.shift()?.takeTurn();
    } else {
      const place = room.waiting.indexOf(this);
      if (place !== -1) {
        room.waiting.splice(place, 1);
        room.service.lost(result === 'stopped' ? 'stopped' : 'gone');
      }
    }
  }
}

interface Pieces {
  /** A buffer whose content nobody needs. */
  take(large: boolean): Buffer;
  /** Gives one back; undefined, with its length, for one that is lost. */
  give(piece: Buffer | undefined, length?: number): void;
}

function createPieces(): Pieces {
  const small: Buffer[] = [];
  const large: Buffer[] = [];
  let largeInUse = 0;
  return {
    take(wantsLarge) {
      if (!wantsLarge || largeInUse >= largePieces) return small.pop() ?? createPiece(pieceSize);
      largeInUse += 1;
      return large.pop() ?? createPiece(largePieceSize);
    },
    give(piece, length = piece?.length) {
      const isLarge = length === largePieceSize;
      if (isLarge) largeInUse -= 1;
      const spare = isLarge ? large : small;
      if (piece !== undefined && spare.length < sparePieces) spare.push(piece);
    },
  };
}

function readAt(fd: number, into: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, length, position, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
