/* A server of one thread that never waits for authcached: an epoll loop over its connections and the
 * library's one descriptor. Each line that a connection sends is a token; the answer to it is a line.
 *
 *   cc -std=c11 epoll.c $(pkg-config --cflags --libs authcache) -o epoll
 *   ./epoll PORT PROFILE              on 127.0.0.1; says on which port, 0 lets the system choose
 *
 * No TLS, so this is for behind something that has it. */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <authcache/authcache.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  kTimeoutMs = 2000,
  kEvents = 64,
  kAnswers = 64,
  kLineBytes = 17 * 1024 /* the longest token is 16 KiB */
};

typedef struct connection {
  int fd;            /* -1: closed, and freed after this round of events */
  uint64_t question; /* 0: none in flight */
  struct connection* next_closed;
  size_t used;
  char line[kLineBytes];
} connection;

typedef struct server {
  int loop, listener, answers;
  authcache_client* client;
  authcache_requirement* requirement;
  connection* closed;
} server;

/* What an event of the loop is about: a connection, or one of these. */
static char about_listener, about_answers;

static void close_connection(server* of, connection* which) {
  if (which->fd < 0) return;
  if (which->question != 0)
    authcache_cancel(of->client, which->question); /* else its answer would name freed memory */
  close(which->fd);
  which->fd = -1;
  which->next_closed = of->closed;
  of->closed = which;
}

/* A connection with a question in flight is not read from: its next line waits in its socket. */
static void await(server* of, connection* which) {
  struct epoll_event event = {.events = EPOLLRDHUP | (which->question == 0 ? EPOLLIN : 0), .data.ptr = which};
  if (epoll_ctl(of->loop, EPOLL_CTL_MOD, which->fd, &event) != 0) close_connection(of, which);
}

static void answer(server* of, connection* to, int verdict, const authcache_identity* identity) {
  char subject[256] = "", line[512];
  int length;
  if (verdict == AUTHCACHE_VALID &&
      authcache_identity_text(of->client, identity, AUTHCACHE_FIELD_SUBJECT, subject, sizeof subject) < 0) {
    verdict = AUTHCACHE_UNAVAILABLE; /* gone since: evicted, or revoked just now */
  }
  length = snprintf(line, sizeof line, "%s %s\n", verdict < 0 ? "error" : authcache_verdict_name(verdict),
                    verdict == AUTHCACHE_VALID ? subject
                    : verdict < 0              ? authcache_last_error(of->client)
                                               : authcache_reason_name(identity->reason));
  /* Whoever does not read his answers is closed. */
  if (send(to->fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) != length) close_connection(of, to);
}

/* Submits the lines that are there, up to the first that shared memory cannot answer. */
static void take_lines(server* of, connection* from) {
  char* end;
  while (from->fd >= 0 && from->question == 0 && (end = memchr(from->line, '\n', from->used)) != NULL) {
    const size_t length = (size_t)(end - from->line);
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    const int verdict = authcache_submit(of->client, from->line, length, of->requirement, kTimeoutMs,
                                         (uint64_t)(uintptr_t)from, &from->question, &identity);
    from->used -= length + 1;
    memmove(from->line, end + 1, from->used);
    if (verdict != AUTHCACHE_MISS) answer(of, from, verdict, &identity);
  }
  if (from->fd < 0) return;
  if (from->question == 0 && from->used == sizeof from->line) {
    close_connection(of, from); /* no token is that long */
  } else {
    await(of, from);
  }
}

static void read_from(server* of, connection* from) {
  const ssize_t got = recv(from->fd, from->line + from->used, sizeof from->line - from->used, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    close_connection(of, from);
    return;
  }
  from->used += (size_t)got;
  take_lines(of, from);
}

static void accept_one(server* of) {
  const int fd = accept4(of->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  connection* made;
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
  if (fd < 0) return;
  made = calloc(1, sizeof *made);
  event.data.ptr = made;
  if (made == NULL || epoll_ctl(of->loop, EPOLL_CTL_ADD, fd, &event) != 0) {
    free(made);
    close(fd);
    return;
  }
  made->fd = fd;
}

/* Level-triggered: what does not fit this time makes the descriptor readable again. */
static void collect(server* of) {
  authcache_answer answers[kAnswers] = {AUTHCACHE_ANSWER_INIT};
  const int count = authcache_collect(of->client, answers, kAnswers);
  for (int i = 0; i < count; ++i) {
    connection* const to = (connection*)(uintptr_t)answers[i].data;
    to->question = 0;
    answer(of, to, answers[i].verdict, &answers[i].identity);
    take_lines(of, to); /* those that came meanwhile */
  }
}

static void serve(server* of) {
  struct epoll_event events[kEvents];
  for (;;) {
    const int count = epoll_wait(of->loop, events, kEvents, -1);
    for (int i = 0; i < count; ++i) {
      connection* const about = events[i].data.ptr;
      if ((void*)about == &about_listener) {
        accept_one(of);
      } else if ((void*)about == &about_answers) {
        collect(of);
      } else if (about->fd >= 0 && about->question == 0) {
        read_from(of, about);
      } else if (about->fd >= 0) {
        close_connection(of, about); /* gone, and does not wait for the answer any more */
      }
    }
    while (of->closed != NULL) {
      connection* const next = of->closed->next_closed;
      free(of->closed);
      of->closed = next;
    }
  }
}

static int watch(int loop, int fd, void* about) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = about};
  return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, (struct sockaddr*)&address, &size) != 0) {
    perror("epoll: listen");
    exit(1);
  }
  printf("listening on %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char** argv) {
  /* Whose table to trust: the user that the installed unit runs the daemon as, where there is one. */
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  const struct passwd* daemon = getpwnam("authcache");
  server of = {0};
  if (argc != 3) {
    fprintf(stderr, "usage: epoll PORT PROFILE\n");
    return 2;
  }
  if (daemon != NULL) options.daemon_uid = daemon->pw_uid;
  if (authcache_open(&options, &of.client) != AUTHCACHE_OK) {
    fprintf(stderr, "epoll: %s\n", authcache_last_error(NULL));
    return 3;
  }
  of.answers = authcache_fd(of.client);
  if (authcache_requirement_create(of.client, argv[2], &of.requirement) != AUTHCACHE_OK || of.answers < 0) {
    fprintf(stderr, "epoll: %s\n", authcache_last_error(of.client));
    return 2;
  }
  of.loop = epoll_create1(EPOLL_CLOEXEC);
  of.listener = listen_on(atoi(argv[1]));
  if (of.loop < 0 || watch(of.loop, of.listener, &about_listener) != 0 ||
      watch(of.loop, of.answers, &about_answers) != 0) {
    perror("epoll: epoll");
    return 1;
  }
  serve(&of);
}
