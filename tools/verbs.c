// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "verbs.h"

#include "commands.h"

#include <string.h>

#define OPTIONS(...)         \
    (const enum option_id[]) \
    {                        \
        __VA_ARGS__, OPT_END \
    }
#define NO_OPTIONS           \
    (const enum option_id[]) \
    {                        \
        OPT_END              \
    }

const struct verb verbs[] = {
    {"status", NULL, "", 0, 0, VERB_READS, NO_OPTIONS, cmd_status,
     "what is in the store, how large it is, who holds it",
     "Counts of everything the store holds, the sizes of its files, how well payloads are "
     "compressed, who holds the lock, and how far LMDB is behind the journal.",
     "mosquitto_lmdb status\tof the packaged broker's store\n"
     "mosquitto_lmdb --store /srv/mqtt/store --json status\tfor a script"},
    {"export", NULL, "", 0, 0, VERB_READS | VERB_STREAMS, OPTIONS(OPT_REDACT), cmd_export,
     "everything as JSON lines",
     "Prints everything the store holds on standard output, one JSON object a line: store, "
     "session, subscription, message, queued, retained and will. Queues come in their order. "
     "Payloads and binary properties are base64, ids are strings.\n\n"
     "With --redact, payloads are null, and user names and what properties say are replaced. "
     "Topics and client ids stay.",
     "mosquitto_lmdb export | gzip > store.jsonl.gz\t\n"
     "mosquitto_lmdb export | jq -r 'select(.type==\"retained\").topic'\tthe retained topics"},
    {"import", NULL, "FILE", 1, 1, VERB_PROBES, OPTIONS(OPT_DRY_RUN, OPT_LIMIT), cmd_import,
     "make a new store out of an export, a mosquitto.db or a persist-sqlite file",
     "Reads FILE into a new store: the folder of --store must not exist, or be empty. FILE is what "
     "export writes (standard input if it is -), a mosquitto.db of version 2 to 6, as Mosquitto "
     "1.0 to 2.1 writes it, or a file of Mosquitto's persist-sqlite plugin. The broker that wrote "
     "it must have stopped.\n\n"
     "Queued messages keep their order, packet ids, states and properties. Prints how many entries "
     "came in and how many the store has. What could not go in is listed with the reason, at most "
     "--limit rows of it, and the command ends with 3. With --dry-run it only reads and counts.\n\n"
     "A mosquitto.db holds neither wills nor shared subscriptions: the broker does not write them. "
     "persist-sqlite has changed topics that look like numbers, and what they were cannot be "
     "known: "
     "import says how many.\n\n"
     "The folder takes its name when all is in it; until then it is called DIR.new.",
     "mosquitto_lmdb --store /srv/mqtt/new import store.jsonl\t\n"
     "mosquitto_lmdb import /var/lib/mosquitto/mosquitto.db\tmove to this plugin\n"
     "mosquitto_lmdb export | ssh other mosquitto_lmdb --store /srv/mqtt/store import -\t"},
    {"session", "ls", "", 0, 0, VERB_READS | VERB_STREAMS,
     OPTIONS(OPT_MATCH, OPT_OFFLINE, OPT_IDLE, OPT_QUEUE_GT, OPT_SORT, OPT_LIMIT), cmd_session_ls,
     "list sessions, by what they own or how long they are away",
     "Lists the sessions with their state, what is queued for them, and when they expire. A "
     "session that is said to have been connected was so when the broker stopped.",
     "mosquitto_lmdb session ls --sort bytes --limit 10\twho owns the space\n"
     "mosquitto_lmdb session ls --idle 30d\twho has been away for a month"},
    {"session", "show", "ID", 1, 1, VERB_READS, OPTIONS(OPT_USERS, OPT_LIMIT), cmd_session_show,
     "the whole story of one client",
     "Shows what the store knows of a client: whether and since when it is connected, when the "
     "session expires, its will, its subscriptions, and its queue by topic and by state.\n\n"
     "The user name is shown with --users only. --limit is that of the list of topics, 20 unless "
     "it is given.",
     "mosquitto_lmdb session show sensor-17\twhy does it not get its messages?"},
    {"session", "rm", "ID...", 1, -1, VERB_WRITES | VERB_DESTROYS, OPTIONS(OPT_YES, OPT_DRY_RUN),
     cmd_session_rm, "remove sessions with all that is theirs",
     "Removes sessions with their subscriptions, their queues and their wills, and the messages "
     "that nothing else names. Says with exact counts and bytes what will go, and asks.\n\n"
     "Works on a store that no broker holds.",
     "mosquitto_lmdb session rm --dry-run sensor-17\twhat would go?"},
    {"queue", "ls", "[ID]", 0, 1, VERB_READS | VERB_STREAMS,
     OPTIONS(OPT_MATCH, OPT_QUEUE_GT, OPT_SORT, OPT_TOPIC, OPT_OLDER_THAN, OPT_LIMIT), cmd_queue_ls,
     "list queues, or the messages in one",
     "Without ID: the queues that hold something, with counts, bytes, and the ages of the oldest "
     "and the newest message; --sort age puts the oldest message first. With ID: the messages of "
     "that client's queue in their order.\n\n"
     "--topic FILTER, an MQTT topic filter, and --older-than count only messages that match.",
     "mosquitto_lmdb queue ls --sort queue --limit 5\tthe longest queues\n"
     "mosquitto_lmdb queue ls sensor-17 --topic 'alarm/#'\tits alarms"},
    {"queue", "peek", "ID", 1, 1, VERB_READS,
     OPTIONS(OPT_COUNT, OPT_FROM, OPT_PAYLOAD, OPT_TOPIC, OPT_OLDER_THAN), cmd_queue_peek,
     "show messages of a queue, and change nothing",
     "Shows messages of a client's queue with their properties by name and their payloads: JSON "
     "indented, readable text as it is, all else as hex. --payload chooses another form; raw "
     "prints the payloads and nothing else.\n\n"
     "--topic FILTER is an MQTT topic filter.",
     "mosquitto_lmdb queue peek sensor-17 -n 3 --from newest\t"},
    {"queue", "export", "ID", 1, 1, VERB_READS | VERB_STREAMS, OPTIONS(OPT_REDACT),
     cmd_queue_export, "one queue as JSON lines",
     "Prints a session, the messages in its queue and the queue itself as JSON lines, as export "
     "does for the whole store.",
     "mosquitto_lmdb queue export sensor-17 > sensor-17.jsonl\t"},
    {"queue", "purge", "ID", 1, 1, VERB_WRITES | VERB_DESTROYS,
     OPTIONS(OPT_OLDER_THAN, OPT_TOPIC, OPT_KEEP, OPT_YES, OPT_DRY_RUN), cmd_queue_purge,
     "throw messages of a queue away",
     "Removes messages from a client's queue: all of them, or those that are old enough and whose "
     "topics match --topic FILTER, an MQTT topic filter; --keep leaves the newest N of these. "
     "Messages that come from the client, and those of QoS 2 that it has received and whose "
     "handshake is not over, stay. Says with exact counts and bytes what will go, and asks.\n\n"
     "Works on a store that no broker holds.",
     "mosquitto_lmdb queue purge sensor-17 --older-than 30d\t\n"
     "mosquitto_lmdb queue purge sensor-17 --keep 100 --yes\tfrom a script"},
    {"retained", "ls", "[FILTER]", 0, 1, VERB_READS | VERB_STREAMS,
     OPTIONS(OPT_OLDER_THAN, OPT_PAYLOAD, OPT_LIMIT), cmd_retained_ls, "list retained messages",
     "Lists the retained messages, all or those whose topics match the MQTT topic filter FILTER. "
     "With --payload each is shown as retained get shows it; with --json too, payloads are in the "
     "rows as base64.",
     "mosquitto_lmdb retained ls 'home/+/temperature' --payload auto\twhat is it everywhere?"},
    {"retained", "get", "TOPIC", 1, 1, VERB_READS, OPTIONS(OPT_PAYLOAD), cmd_retained_get,
     "show one retained message",
     "Shows the retained message of a topic with its properties and its payload.",
     "mosquitto_lmdb retained get home/door --payload raw\tthe payload alone"},
    {"retained", "rm", "FILTER", 1, 1, VERB_WRITES | VERB_DESTROYS,
     OPTIONS(OPT_OLDER_THAN, OPT_YES, OPT_DRY_RUN), cmd_retained_rm, "forget retained messages",
     "Removes the retained messages whose topics match the MQTT topic filter FILTER and that are "
     "old enough. Says with exact counts and bytes what will go, and asks.\n\n"
     "Works on a store that no broker holds.",
     "mosquitto_lmdb retained rm 'test/#' --older-than 7d\t"},
    {"sub", "ls", "[ID]", 0, 1, VERB_READS | VERB_STREAMS, OPTIONS(OPT_TOPIC, OPT_MATCH, OPT_LIMIT),
     cmd_sub_ls, "list subscriptions, or who would get a topic",
     "Lists the subscriptions, all or those of one client. With --topic TOPIC only those that "
     "would get what is published to it, shared subscriptions included.",
     "mosquitto_lmdb sub ls --topic home/door\twho gets this?"},
    {"will", "ls", "", 0, 0, VERB_READS | VERB_STREAMS, OPTIONS(OPT_TOPIC, OPT_LIMIT), cmd_will_ls,
     "list wills",
     "Lists the wills that the broker publishes for clients that do not come back. A client "
     "without a stored session may have one too.\n\n"
     "--topic FILTER is an MQTT topic filter.",
     ""},
    {"repair", NULL, "--output DIR", 0, 0, VERB_PROBES | VERB_ALONE,
     OPTIONS(OPT_OUTPUT, OPT_TRUNCATE, OPT_YES, OPT_DRY_RUN, OPT_LIMIT), cmd_repair,
     "salvage a damaged store into a new one",
     "Reads all that can be read of a damaged store, its journal too, and makes a new store of it "
     "in the folder of --output; the old one is not changed. Prints what could not be read, with "
     "the clients and topics that lost something, and how many entries of each kind were there "
     "and were salvaged. The new store opens and verifies clean.\n\n"
     "Ends with 3 if something was lost. Works on a store that no broker holds.\n\n"
     "With --truncate-journal instead of --output the store itself is mended, where only its "
     "journal is damaged: what can be read goes into the tables, and the journal ends there. Says "
     "how many bytes and events that takes away, and asks. The files are kept aside under names "
     "that begin with torn-.",
     "mosquitto_lmdb repair --output /var/lib/mosquitto/mended\t\n"
     "mosquitto_lmdb repair --truncate-journal --dry-run\thow much of the journal is lost?"},
    {"compact", NULL, "", 0, 0, VERB_ALONE, NO_OPTIONS, cmd_compact,
     "give free pages back to the file system",
     "Rewrites the tables without their free pages and prints their size before and after. It "
     "needs room for the new file beside the old one. A kill at any point leaves one of the two, "
     "whole.\n\nWorks on a store that no broker holds.",
     ""},
    {"dict", "ls", "", 0, 0, VERB_READS, OPTIONS(OPT_LIMIT), cmd_dict_ls,
     "list dictionaries, and what they save",
     "Lists the dictionaries that messages are compressed with: which one is in use for those to "
     "come, on how many messages each was trained, and what the messages that need it take as "
     "published and as stored. A broker trains them by itself when it pays. One that no message "
     "needs any more goes.",
     ""},
    {"dict", "train", "", 0, 0, VERB_ALONE, OPTIONS(OPT_DRY_RUN), cmd_dict_train,
     "train a dictionary on what the store holds, and store it anew",
     "Trains a dictionary on seven of eight samples of the store's messages, and compresses the "
     "others with it. If they take at least a twentieth less than as things are, it is put in use, "
     "and all messages are stored anew with it; compact then makes the file smaller. With "
     "--dry-run it only says what the trial gave.\n\nWorks on a store that no broker holds.",
     "mosquitto_lmdb dict train --dry-run\twhat would it gain?"},
    {"backup", NULL, "FILE|DIR|-", 1, 1, VERB_PROBES, OPTIONS(OPT_DRY_RUN), cmd_backup,
     "write a consistent copy, beside a running broker too",
     "Writes the whole store as one stream with checksums to a new file, to a file in a folder "
     "with the time in its name, or to standard output. A running broker is not delayed: what its "
     "journal holds when the backup begins is in it.\n\n"
     "A file takes its name when all of it is on the disk. --dry-run writes nothing.",
     "mosquitto_lmdb backup /var/backups\t\n"
     "mosquitto_lmdb backup - | ssh other 'cat > store.backup'\t\n"
     "mosquitto_lmdb backup - | zstd > store.backup.zst\t"},
    {"restore", NULL, "FILE DIR", 2, 2, VERB_PROBES, OPTIONS(OPT_DRY_RUN), cmd_restore,
     "make a store out of a backup",
     "Checks a backup to its end and makes a store of it in DIR, which must not exist, or be "
     "empty. FILE may be - for standard input. --dry-run only checks.",
     "mosquitto_lmdb restore --dry-run store.backup /tmp/none\tis the backup sound?\n"
     "mosquitto_lmdb restore store.backup /var/lib/mosquitto/lmdb\t"},
    {"journal", "ls", "", 0, 0, VERB_READS, OPTIONS(OPT_LIMIT), cmd_journal_ls,
     "list the journal's segments",
     "Lists the segment files of the journal. A covered segment holds nothing that LMDB does not "
     "have, a live one does or is being written, a ready one waits for its turn.",
     ""},
    {"journal", "dump", "", 0, 0, VERB_READS | VERB_STREAMS,
     OPTIONS(OPT_FOLLOW, OPT_FROM, OPT_LIMIT, OPT_MARKS, OPT_USERS, OPT_PAYLOAD), cmd_journal_dump,
     "the events in the journal, and those that come",
     "Prints the records that the journal still holds, one a line, or one JSON object a line with "
     "--json. With --follow it goes on with those that the broker appends, which it does not slow "
     "down; --from newest leaves out the past.\n\n"
     "Payloads are shown with --payload, user names with --users.",
     "mosquitto_lmdb journal dump --follow --from newest\twhat is happening?"},
    {"verify", NULL, "", 0, 0, VERB_PROBES, OPTIONS(OPT_LIMIT), cmd_verify, "is the store sound?",
     "Reads everything: the folder's files and modes, every record of the journal, every value of "
     "every table with its checksum, every reference in both directions, and the counts. Prints "
     "what it finds, with what is lost and what helps. Changes nothing but what any command does "
     "first on a store that nobody holds (see --read-only).\n\n"
     "Ends with 3 if anything but a note was found.",
     "mosquitto_lmdb verify --json | jq .findings\t"},
    {"check", NULL, "", 0, 0, VERB_PROBES,
     OPTIONS(OPT_FORMAT, OPT_DEEP, OPT_MAX_QUEUE, OPT_MAX_AGE, OPT_MAX_BYTES, OPT_MAX_LAG,
             OPT_MIN_FREE),
     cmd_check, "the store's health, for a monitoring system",
     "Measures sessions, queues, the age of the oldest message, space and how far LMDB is behind "
     "the journal. Damage that it meets is critical; --deep looks for more, and verify for all.\n\n"
     "As a plugin of Nagios it prints one line and ends with 0 (OK), 1 (WARNING), 2 (CRITICAL: a "
     "limit is passed, or the store is damaged) or 3 (UNKNOWN); so it does with --json. For "
     "Prometheus it prints gauges, "
     "among them mosquitto_lmdb_up, and ends with 0 if the store could be read.",
     "mosquitto_lmdb check --max-queue 10k:100k --max-age 1h:1d\tfor Nagios, Icinga and others\n"
     "mosquitto_lmdb check --format prometheus > lmdb.prom\tfor the node exporter's text files"},
    {"help", "man", "", 0, 0, VERB_NO_STORE | VERB_HIDDEN, NO_OPTIONS, cmd_help_man,
     "the manual page", "Prints the manual page, for the build.", ""},
    {"help", "completion", "", 0, 0, VERB_NO_STORE | VERB_HIDDEN, NO_OPTIONS, cmd_help_completion,
     "the bash completion", "Prints the completion for bash, for the build.", ""},
};
const size_t verbs_count = sizeof(verbs) / sizeof(verbs[0]);

struct noun {
    const char *name;
    const char *summary;
};

static const struct noun nouns[] = {
    {"session", "Sessions: the clients that the broker remembers."},
    {"queue", "Queues: the messages that wait for a client."},
    {"retained", "Retained messages: the last one of a topic, kept for who comes later."},
    {"dict", "Dictionaries: what compresses many small messages that are alike."},
    {"journal", "The journal: what happened last, and what LMDB may not have yet."},
    {"sub", "Subscriptions of stored sessions."},
    {"will", "Wills: what is published for a client that is lost."},
};

const char *noun_summary(const char *noun)
{
    for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
        if (strcmp(nouns[i].name, noun) == 0)
            return nouns[i].summary;
    }
    return "";
}
