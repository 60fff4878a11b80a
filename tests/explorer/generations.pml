/* Generations of the table: publication, MOVING, retirement, adoption by a successor, and revocation across them.
 *
 * A file is one record of one token (there or not), a state, a heartbeat that is recent or not, and a name. A turn of
 * the daemon's loop is not interleaved with its other turns; each store of it is interleaved with readers, with death
 * and with time. Stores are seen in order: weak memory is explorer_test.cpp's.
 *
 * Each -D name below makes one thing wrong. run_generations says which must fail.
 */
#define FILES 3  /* room; MADE of them are made, and DEATHS daemons die */
#define NONE 7
#define RETIRED 0
#define LIVE 1
#define MOVING 2

#ifdef WAITS_FOR_NOBODY
#define WAITED true
#else
#define WAITED (!(waits[0] && fresh[0]) && !(waits[1] && fresh[1]) && !(waits[2] && fresh[2]))
#endif
#ifdef COPY_ASKS_NO_RULES
#define ADMITTED true
#else
#define ADMITTED (!rule)
#endif
#ifdef NAMED_BEFORE_COPIED
#define TO_BE_NAMED (next != NONE && !named)
#else
#define TO_BE_NAMED (next != NONE && !named && copied)
#endif

#ifdef GONE_ONE_UNLISTED
#define UNLISTED (!waits[i] || had_name[i])
#else
#define UNLISTED (!waits[i])
#endif

/* what outlives a daemon */
byte state[FILES];
bool record[FILES];
bool fresh[FILES];    /* a reader that looks at the heartbeat finds it within heartbeat_timeout */
bool name[FILES];     /* table.<generation> */
byte number[FILES];   /* the generation */
byte table = NONE;    /* the link that readers open */
bool listed[FILES+2]; /* the state database's list, by number */
bool rule_durable;

byte written[FILES];  /* daemons that beat its heart */
byte made;
byte locks;           /* flock */
bool acknowledged;
bool owed;            /* the record was inserted wherever a daemon writes, and nothing may have ended it since */
byte endings;         /* how often owed was taken back */

inline owe_no_more() { atomic { endings = endings + owed; owed = false } }
bool kill[2];
byte deaths = DEATHS;
byte removals = 1;    /* of a name, by hand */
byte failures = 1;    /* of naming a file */

/* A file under the next free number, retired until it is filled. */
inline make_file(f) {
  d_step {
    f = made;
    made++;
#ifdef NUMBER_REPEATED
    number[f] = 1;
#else
    number[f] = f + 1;
#endif
    record[f] = false;
    state[f] = LIVE
  }
}

inline list_file(f) {
#ifndef NOT_LISTED
  listed[number[f]] = true
#else
  skip
#endif
}

inline name_file(f) {
  name[f] = true;
  table = f
}

inline beat(f) { atomic { written[f]++; fresh[f] = true } }

proctype daemon(byte me) {
  byte current, next, i, j;
  bool rule, reached, copied, named;
  bool waits[FILES], had_name[FILES];
  byte revoking; /* 1: killed, 2: durable */
  bool sees, adopts;

start:
  {
#ifdef NO_FLOCK
    locks++;
#else
    atomic { locks == 0 -> locks++ };
#endif
    d_step {
      current = NONE; next = NONE; revoking = 0; copied = false; named = false; adopts = false; sees = false;
#ifdef RULES_NOT_LOADED
      rule = false
#else
      rule = rule_durable
#endif
    };
    /* the directory is read; the newest file is adopted, older ones are retired, one that is gone is waited for */
    skip;
    d_step {
      for (i : 0 .. FILES-1) {
        had_name[i] = name[i];
        waits[i] = false
      }
      i = made
    };
    do
    :: i > 0 ->
       i--;
       if
       :: had_name[i] && !name[i] -> waits[i] = true
       :: had_name[i] && name[i] && current == NONE -> current = i
       :: had_name[i] && name[i] && current != NONE ->
#ifndef OLDER_ONES_STAY
          state[i] = RETIRED;
#endif
          name[i] = false
       :: else
       fi
    :: else -> break
    od;
    /* listed, and no name led to it: nobody can retire it */
    skip;
    d_step {
      for (i : 0 .. FILES-1) {
        reached = false;
        for (j : 0 .. FILES-1) {
          if
          :: j < made && number[j] == number[i] && had_name[j] -> reached = true
          :: else
          fi
        }
        waits[i] = waits[i] || (i < made && listed[number[i]] && !reached);
      }
      i = 0; j = 0; reached = false
    };
    if
    :: current == NONE ->
       if
       :: made < MADE -> make_file(current)
       :: else -> goto over
       fi;
       owe_no_more();
#ifdef NAMED_BEFORE_LISTED
       name_file(current);
#endif
       list_file(current)
    :: else ->
       if
       :: rule -> record[current] = false
       :: else
       fi;
       state[current] = LIVE
    fi;
    skip;
    d_step {
      for (i : 0 .. FILES-1) {
        if
        :: i < made && i != current && number[i] != number[current] && UNLISTED -> listed[number[i]] = false
        :: else
        fi
      }
      i = 0
    };
    beat(current);
    name_file(current);

    do
    /* a flight lands */
    :: !rule ->
       if
       :: next != NONE -> record[next] = true
       :: else
       fi;
#ifdef OLD_NOT_WRITTEN
       if
       :: next == NONE -> record[current] = true
       :: else
       fi;
#else
       record[current] = true;
#endif
       owed = !rule_durable
    /* revocation: rule in memory, kills, durable, acknowledged */
    :: revoking == 0 && !acknowledged ->
       rule = true;
       owe_no_more();
#ifdef OLD_KILLED_FIRST
       record[current] = false;
#endif
       if
       :: next != NONE -> record[next] = false
       :: else
       fi;
#ifdef OLD_NOT_WRITTEN
       if
       :: next == NONE -> record[current] = false
       :: else
       fi;
#else
       record[current] = false;
#endif
       revoking = 1
    :: revoking == 1 ->
#ifndef NOT_DURABLE
       rule_durable = true;
#endif
       revoking = 2
    :: revoking == 2 && WAITED ->
       acknowledged = true;
       revoking = 3
    /* who was waited for can be believed no more */
    :: atomic { waits[0] && !fresh[0] -> listed[number[0]] = false; waits[0] = false }
    :: atomic { waits[1] && !fresh[1] -> listed[number[1]] = false; waits[1] = false }
    /* replacement */
    :: next == NONE && made < MADE ->
       make_file(next);
       list_file(next);
       beat(next);
       copied = false;
       named = false;
       sees = false;
       state[current] = MOVING
#ifdef COPY_FROM_A_SNAPSHOT
    :: next != NONE && !copied && !sees ->
       sees = true;
       adopts = record[current]
    :: next != NONE && !copied && sees ->
       if
       :: adopts && ADMITTED -> record[next] = true
       :: else
       fi;
       copied = true
#else
    :: next != NONE && !copied ->
       if
       :: record[current] && ADMITTED -> record[next] = true
       :: else
       fi;
       copied = true
#endif
    :: TO_BE_NAMED ->
       name_file(next);
       named = true
    :: next != NONE && copied && !named && failures > 0 ->
       failures--;
       name[next] = true; /* the first of its two steps may have been made */
       state[next] = RETIRED;
       name[next] = false;
       atomic { written[next]--; listed[number[next]] = false };
       state[current] = LIVE;
       next = NONE
    :: next != NONE && named && copied ->
       /* after heartbeat_timeout, or at once: the order is what counts */
#ifndef OLD_NOT_RETIRED
       state[current] = RETIRED;
#endif
       name[current] = false;
       atomic {
         written[current]--;
         listed[number[current]] = (number[current] == number[next]);
         current = next;
         next = NONE;
         copied = false;
         named = false;
         sees = false;
         adopts = false
       }
    od
  } unless { kill[me] };

  atomic {
    kill[me] = false;
    locks--;
    if
    :: current != NONE && written[current] > 0 -> written[current]--
    :: else
    fi;
    if
    :: next != NONE && written[next] > 0 -> written[next]--
    :: else
    fi;
    current = NONE; next = NONE; i = 0; j = 0; rule = false; copied = false; named = false; reached = false;
    waits[0] = false; waits[1] = false; waits[2] = false;
    had_name[0] = false; had_name[1] = false; had_name[2] = false;
    revoking = 0; sees = false; adopts = false
  };
  goto start;
over:
  skip
}

/* Death at any store, time, and a hand that removes names. */
active proctype world() {
  do
  :: atomic { deaths > 0 && !kill[0] && locks > 0 -> deaths--; kill[0] = true }
#ifdef NO_FLOCK
  :: atomic { deaths > 0 && !kill[1] && locks > 0 -> deaths--; kill[1] = true }
#endif
  :: atomic { removals > 0 && table != NONE && name[table] -> removals--; owe_no_more(); name[table] = false }
  :: atomic { removals > 0 && table != NONE -> removals--; owe_no_more(); name[table] = false; table = NONE }
  :: atomic { fresh[0] && written[0] == 0 -> fresh[0] = false }
  :: atomic { fresh[1] && written[1] == 0 -> fresh[1] = false }
  :: atomic { fresh[2] && written[2] == 0 -> fresh[2] = false }
  od
}

proctype reader() {
  byte file = NONE;
  bool after, was_owed, found;
  byte endings_before;
  do
  :: atomic { table != NONE && file != table -> file = table;
       if
       :: state[file] == RETIRED -> file = NONE
       :: else
       fi }
  :: file != NONE ->
     atomic { after = acknowledged; was_owed = owed && file == table; endings_before = endings };
     if
     :: !fresh[file] -> skip
     :: fresh[file] ->
        found = record[file];
        atomic {
          if
          :: state[file] == RETIRED -> skip
          :: state[file] != RETIRED && found -> assert(!after)
          /* the table that the name leads to holds what it should */
          :: else -> assert(!was_owed || endings != endings_before || !fresh[file])
          fi
        }
     fi;
     atomic { after = false; was_owed = false; found = false; endings_before = 0 }
  od
}

init {
  atomic {
    run daemon(0);
#ifdef NO_FLOCK
    run daemon(1);
#endif
    run reader() /* one: readers change nothing, so each is alone with the daemons */
  }
}
