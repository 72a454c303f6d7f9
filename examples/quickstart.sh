#!/usr/bin/env bash
# The main job, from nothing: installs what is missing, builds, imports a few conversations through two
# layers of middleware, plays an agent that streams its answers, and shows what was stored.
# Works from any folder, and again: everything it makes is in build/.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh

say() {
    printf '\n== %s\n' "$*"
}

need_packages "${build_packages[@]}"
say "Building"
build default -D HOLDFAST_BUILD_TESTS=OFF

holdfast=build/default/holdfast
store=build/quickstart/conversations.db
log=build/quickstart/log.jsonl
rm -rf build/quickstart
mkdir -p build/quickstart

say "Importing examples/data/conversation.chat.jsonl through redact and audit"
"$holdfast" import "$store" --use redact --use audit examples/data/conversation.chat.jsonl 2>"$log" ||
    { cat "$log" >&2; exit 1; }
grep -v '^{' "$log"

say "What the layers did: $(grep -c '"layer":"audit"' "$log") records of audit, $(grep -c '"layer":"redact"' "$log") of redact; some of them"
grep -m 2 '"layer":"audit"' "$log"
grep -m 2 '"layer":"redact"' "$log"

say "Importing again changes nothing"
"$holdfast" import "$store" --use redact --use audit examples/data/conversation.chat.jsonl 2>&1 | grep -v '^{'

say "An agent's answer, streamed: each event bears the id of the message reserved for it"
build/default/examples/agent_host "$store" examples/data/streams/anthropic-weather.chunks.txt >build/quickstart/events.txt
head -n 9 build/quickstart/events.txt
echo "[... $(grep -c '^event:' build/quickstart/events.txt) events in build/quickstart/events.txt]"

say "The conversations of the store, newest activity first"
"$holdfast" ls "$store"

say "One of them; its secrets never reached the disk"
"$holdfast" show "$store" deploy-002

say "An op of your own: one line of JSON in, one out"
echo '{"op":"add","conversationId":"demo","role":"user","content":"Thank you!"}' | "$holdfast" run "$store" --use audit

say "Done: the store is $store, an ordinary SQLite file. Next: README.md, then ./tests/run.sh"
