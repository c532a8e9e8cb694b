/*
 * Load generator: n clients that ask for one path, each request over a new connection, read to the end. The clients go
 * round the sockets so that no two of them ask at one socket at a time while there are as many sockets as clients.
 *
 *   load SECONDS CLIENTS PATH SOCKET...
 *
 * Asks as VMware's own client does, without any header field; with WITH_HOST in the environment as HTTP/1.1 wants it,
 * for servers that insist.
 *
 * One thread, one epoll. Prints one JSON line: requests that were answered whole, those that failed, bytes of bodies,
 * seconds, and microseconds at quantiles of the time from connect to end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 4096, HEAD = 2048, BUFFER = 1 << 20, MAX_SAMPLES = 4000000 };

struct client {
  int fd;
  int socket; /* where it asks next */
  uint64_t begun;
  int64_t expected; /* of the body; -1 until the head is whole */
  int64_t received;
  int head_length;
  char head[HEAD];
};

static struct client clients[MAX_CLIENTS];
static struct sockaddr_un *sockets;
static int socket_count, client_count;
static char buffer[BUFFER];
static char request[4096];
static int request_length;
static int poller;
static uint64_t answered, failed, bytes;
static uint32_t *samples;
static uint64_t sample_count;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void begin(struct client *c) {
  struct sockaddr_un *address = &sockets[c->socket];
  c->socket = (c->socket + client_count) % socket_count;
  for (;;) {
    c->begun = now_ns();
    c->expected = -1;
    c->received = 0;
    c->head_length = 0;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) { perror("socket"); exit(1); }
    if (connect(c->fd, (struct sockaddr *)address, sizeof *address) == 0 &&
        send(c->fd, request, (size_t)request_length, MSG_NOSIGNAL) == request_length) break;
    failed++;
    close(c->fd);
    struct timespec a_little = {0, 100000};
    nanosleep(&a_little, NULL);
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) { perror("epoll_ctl"); exit(1); }
}

static void finish(struct client *c, int good) {
  close(c->fd);
  c->fd = -1;
  if (!good) { failed++; return; }
  answered++;
  bytes += (uint64_t)c->received;
  if (sample_count < MAX_SAMPLES) samples[sample_count++] = (uint32_t)((now_ns() - c->begun) / 1000);
}

/* Returns the bytes of the body in what was read, or -1 when the head is no 200 with a length. */
static int64_t take_head(struct client *c, const char *data, int64_t length) {
  int64_t room = HEAD - 1 - c->head_length;
  int64_t taken = length < room ? length : room;
  int before = c->head_length;
  memcpy(c->head + before, data, (size_t)taken);
  c->head_length += (int)taken;
  c->head[c->head_length] = 0;
  char *end = strstr(c->head, "\r\n\r\n");
  if (end == NULL) return taken == length ? 0 : -1;
  char *size = strstr(c->head, "Content-Length: ");
  if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || size == NULL || size > end) return -1;
  c->expected = atoll(size + 16);
  return length - (end + 4 - c->head - before);
}

/* Reads what there is; returns 1 when the exchange is over. */
static int advance(struct client *c) {
  for (;;) {
    ssize_t got = recv(c->fd, buffer, BUFFER, 0);
    if (got < 0) {
      if (errno == EAGAIN) return 0;
      finish(c, 0);
      return 1;
    }
    if (got == 0) {
      finish(c, c->expected >= 0 && c->received == c->expected);
      return 1;
    }
    int64_t body = c->expected < 0 ? take_head(c, buffer, got) : got;
    if (body < 0) { finish(c, 0); return 1; }
    c->received += body;
  }
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t quantile(double q) {
  return sample_count == 0 ? 0 : samples[(uint64_t)(q * (double)(sample_count - 1))];
}

int main(int argc, char **argv) {
  if (argc < 5) { fprintf(stderr, "usage: load SECONDS CLIENTS PATH SOCKET...\n"); return 2; }
  double seconds = atof(argv[1]);
  client_count = atoi(argv[2]);
  socket_count = argc - 4;
  if (client_count < 1 || client_count > MAX_CLIENTS) { fprintf(stderr, "1 to %d clients\n", MAX_CLIENTS); return 2; }
  sockets = calloc((size_t)socket_count, sizeof *sockets);
  for (int i = 0; i < socket_count; i++) {
    sockets[i].sun_family = AF_UNIX;
    snprintf(sockets[i].sun_path, sizeof sockets[i].sun_path, "%s", argv[4 + i]);
  }
  request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n\r\n", argv[3]);
  if (getenv("WITH_HOST") != NULL)
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", argv[3]);
  samples = malloc(sizeof *samples * MAX_SAMPLES);
  poller = epoll_create1(EPOLL_CLOEXEC);
  uint64_t start = now_ns();
  uint64_t stop = start + (uint64_t)(seconds * 1e9);
  for (int i = 0; i < client_count; i++) {
    clients[i].socket = i % socket_count;
    begin(&clients[i]);
  }
  int running = client_count;
  struct epoll_event events[256];
  while (running > 0) {
    int n = epoll_wait(poller, events, 256, 10000);
    if (n == 0) { fprintf(stderr, "nothing came for 10 s\n"); failed += (uint64_t)running; break; }
    for (int i = 0; i < n; i++) {
      struct client *c = events[i].data.ptr;
      if (!advance(c)) continue;
      if (now_ns() < stop) begin(c);
      else running--;
    }
  }
  double took = (double)(now_ns() - start) / 1e9;
  qsort(samples, sample_count, sizeof *samples, by_value);
  printf("{\"answered\":%llu,\"failed\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"p50\":%u,\"p99\":%u}\n",
         (unsigned long long)answered, (unsigned long long)failed, (unsigned long long)bytes, took, quantile(0.5),
         quantile(0.99));
  return failed > 0;
}
