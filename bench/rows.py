"""The lines of the bench's table: what each key means, its bound, and which two times make it.

A ratio is (results, over, under): in each process of those results the median time of `over` is divided by the median
time of `under`, and the key is the median of that over the processes. Within a process the runs are interleaved, so both
medians come from the same minute and the same pages.
"""
from typing import NamedTuple, Optional, Tuple


class Row(NamedTuple):
    key: str
    what: str
    bound: Optional[Tuple[str, float]] = None  # ("<=", 1.08)
    ratio: Optional[Tuple[str, str, str]] = None

    def holds(self, value):
        if self.bound is None:
            return True
        sign, limit = self.bound
        return value <= limit if sign == "<=" else value >= limit

    def bound_text(self):
        return "" if self.bound is None else f"{'≤' if self.bound[0] == '<=' else '≥'} {self.bound[1]:g}"


ROWS = [
    Row("hit_over_floor_1m", "one lookup among 1 M records over its floor", ("<=", 1.08), ("hit_1m", "hit", "floor")),
    Row("hit_over_floor_1m_4k", "the same with 4 KiB pages", ("<=", 1.10), ("hit_1m_4k", "hit", "floor")),
    Row("hit_over_floor_10m", "the same among 10 M records", ("<=", 1.05), ("hit_10m", "hit", "floor")),
    Row("hit_text_over_hit_1m", "a lookup, then subject and scopes as text", ("<=", 1.8), ("hit_1m", "hit_text", "hit")),
    Row("permission_check_over_hit", "a lookup that asks for 16 permissions over one that asks for none", ("<=", 1.05), ("hit_1m", "hit_permissions", "hit")),
    Row("hit_small_over_hash", "a lookup among 10 000 records over the hash alone", ("<=", 1.2), ("hit_small", "hit", "hash")),
    Row("miss_over_floor_1m", "a lookup of an absent token over the floor", ("<=", 1.10), ("hit_1m", "waiting_miss", "waiting_floor")),
    Row("batch64_over_hash_1m", "a lookup in batches of 64 over the hash alone", ("<=", 1.4), ("hit_1m", "batch64", "hash")),
    Row("batch64_over_hash_10m", "the same among 10 M records", ("<=", 1.8), ("hit_10m", "batch64", "hash")),
    Row("jwt800_repeat_over_hash", "a lookup of one of 1 000 JWTs seen before, over the JWT's hash", ("<=", 0.35), ("jwt", "hit_repeat", "hash_repeat")),
    Row("pin_check_over_clock", "a pin's check over one coarse clock read", ("<=", 2.0), ("hit_small", "pin_check", "clock")),
    Row("reader_scaling_2", "lookups/s of two reader processes over one", (">=", 1.9)),
    Row("reader_under_writer", "lookups/s beside 100 000 changes/s on the other core, over without", (">=", 0.95)),
    Row("p999_over_p50_hit", "the slowest lookup in 1 000 over the median one, beside that writer", ("<=", 5)),
    Row("lmdb_over_hit_1m", "LMDB over a hit", (">=", 4), ("peers_1m", "lmdb", "hit")),
    Row("lmdb_over_hit_10m", "the same among 10 M records", (">=", 5), ("peers_10m", "lmdb", "hit")),
    Row("interprocess_map_over_hit_1m", "a shared Boost.Interprocess map over a hit", (">=", 2), ("peers_1m", "interprocess_map", "hit")),
    Row("interprocess_map_over_hit_1m_writer", "the same, both beside 100 000 changes/s", (">=", 5)),
    Row("flat_map_mutex_over_hit_1m", "a map of this process under a shared mutex over a hit", (">=", 1.0), ("peers_1m", "flat_map_mutex", "hit")),
    Row("redis_over_hit_1m", "Redis, one GET over a unix socket, over a hit", (">=", 60), ("peers_1m", "redis", "hit")),
    Row("memcached_over_hit_1m", "memcached, one get over a unix socket, over a hit", (">=", 60), ("peers_1m", "memcached", "hit")),
    Row("rs256_over_hit_jwt800", "the signature of an 800-byte JWT over a first hit on it: RS256", (">=", 15), ("jwt", "rs256", "hit_first")),
    Row("es256_over_hit_jwt800", "the same: ES256", (">=", 60), ("jwt", "es256", "hit_first")),
    Row("eddsa_over_hit_jwt800", "the same: EdDSA", None, ("jwt", "eddsa", "hit_first")),
    Row("lmdb_over_hit_1m_4k", "with 4 KiB pages for both: LMDB", None, ("peers_1m_4k", "lmdb", "hit")),
    Row("interprocess_map_over_hit_1m_4k", "the same: the shared map", None, ("peers_1m_4k", "interprocess_map", "hit")),
    Row("flat_map_mutex_over_hit_1m_4k", "the same: the map of this process", None, ("peers_1m_4k", "flat_map_mutex", "hit")),
    Row("lmdb_text_over_hit_text_1m", "with 128 bytes of text asked for: LMDB", None, ("peers_text_1m", "lmdb", "hit")),
    Row("interprocess_map_text_over_hit_text_1m", "the same: the shared map", None, ("peers_text_1m", "interprocess_map", "hit")),
    Row("flat_map_mutex_text_over_hit_text_1m", "the same: the map of this process", None, ("peers_text_1m", "flat_map_mutex", "hit")),
    Row("redis_text_over_hit_text_1m", "the same: Redis", None, ("peers_text_1m", "redis", "hit")),
    Row("memcached_text_over_hit_text_1m", "the same: memcached", None, ("peers_text_1m", "memcached", "hit")),
    Row("hit_ratio_gap_min", "hit ratio, (ours - LRU) / (Belady - LRU): the worst trace", (">=", -0.05)),
    Row("hit_ratio_gap_mean", "the same: the mean of the traces", (">=", 0.25)),
    Row("bytes_per_record", "bytes of a full table without its text area, for each record", ("<=", 170)),
    Row("syscalls_per_hit", "system calls for each hit", ("<=", 0)),
    Row("allocs_per_hit", "allocations for each hit", ("<=", 0)),
    Row("lookups_lost_during_replace", "good records not answered valid while the table is replaced, of all lookups", ("<=", 1e-4)),
    Row("requests_waiting_on_refresh", "requests that waited for the refresh of a good record: 1 000 tokens in use over 10 deadlines", ("<=", 0)),
    Row("hot_tokens_missed", "lookups of those that found no record, of all", ("<=", 0)),
    Row("attach_ms", "authcache_open to the first hit in a new process, ms"),
    Row("session_miss_over_sqlite", "session misses/s through the socket over a bare SQLite loop", (">=", 0.4)),
    Row("session_miss_per_s", "session misses/s"),
    Row("pg_lookup_over_pipeline", "distinct session misses/s on PostgreSQL, 256 in flight, over a bare libpq pipeline of single-key queries", (">=", 0.6)),
    Row("pg_lookup_per_s", "distinct session misses/s on PostgreSQL"),
    Row("revoke_commit_to_refused_ms_p99", "a commit in PostgreSQL to the refusal in another process, ms: 99 of 100 are faster", ("<=", 5)),
    Row("revoke_commit_to_refused_ms_p50", "the same, half of them, ms"),
    Row("auth_face_over_static", "/auth hits/s of the HTTP face over a static 204 of nginx", (">=", 0.4)),
    Row("auth_request_per_s", "/auth hits/s, on one core"),
    Row("h2_introspect_over_h2load", "introspections/s through misses over h2load -c1 -m100 on the same nginx", (">=", 0.5)),
    Row("introspect_per_s", "introspections/s through misses"),
    Row("http_connection_reuse", "requests to that nginx on a connection that was there already, of all", (">=", 0.99)),
    Row("jwt_miss_over_verify", "misses/s on distinct RS256 JWTs over bare verification in one thread", (">=", 0.6)),
    Row("jwt_miss_per_s", "such misses/s"),
    Row("redis_lookup_over_pipeline", "session misses/s in Redis over a bare loop of the same commands on the same server", (">=", 0.4)),
    Row("redis_miss_per_s", "such misses/s"),
    Row("daemon_heap_over_table_1m", "the daemon's memory without the table, over the table, 1 M sessions", ("<=", 1.0)),
    Row("warm_records_per_s", "records made of the sessions of a database at a cold start, each s"),
    Row("session_create_per_s", "sessions created/s, durable, 1 000 a request, four callers", (">=", 50_000)),
]

# Times that the table's second part and the chart show: name -> (results, benchmark).
TIMES = {
    "pin check": ("hit_small", "pin_check"),
    "coarse clock read": ("hit_small", "clock"),
    "SHA-256 of a 43-byte token": ("hit_1m", "hash"),
    "hit, in batches of 64": ("hit_1m", "batch64"),
    "floor of a hit": ("hit_1m", "floor"),
    "hit": ("hit_1m", "hit"),
    "hit and its text": ("hit_1m", "hit_text"),
    "16 permissions of one record": ("hit_small", "permissions_held"),
    "hit among 10 M records": ("hit_10m", "hit"),
    "floor among 10 M records": ("hit_10m", "floor"),
    "hit, 4 KiB pages": ("hit_1m_4k", "hit"),
    "hit on an 800-byte JWT": ("jwt", "hit_first"),
    "the same, seen before": ("jwt", "hit_repeat"),
    "flat_map in process, shared_mutex": ("peers_1m", "flat_map_mutex"),
    "Boost.Interprocess map": ("peers_1m", "interprocess_map"),
    "LMDB": ("peers_1m", "lmdb"),
    "memcached, unix socket": ("peers_1m", "memcached"),
    "Redis, unix socket": ("peers_1m", "redis"),
    "RS256 signature": ("jwt", "rs256"),
    "ES256 signature": ("jwt", "es256"),
    "EdDSA signature": ("jwt", "eddsa"),
}
