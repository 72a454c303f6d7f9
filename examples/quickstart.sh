#!/usr/bin/env bash
# The main job, from nothing: installs what is missing, builds, imports a few conversations through two
# layers of middleware, plays an agent that streams its answers and is interrupted, and shows what was stored.
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

# What agent_host prints of a response: its first and last event, those that bring text, and what happened between.
events() {
    awk -v RS= '/^:/ || /message_start|text_delta|message_stop/' "$1" | sed -E 's/^(.{140}).{4,}/\1.../'
}

agent_host=build/default/examples/agent_host
weather=examples/data/streams/anthropic-weather.chunks.txt
key=examples/data/streams/openai-chat-key.chunks.txt
tea=examples/data/streams/openai-chat-tea.chunks.txt

say "An answer, streamed: each event bears the id of its message, and how many pieces of text the store has by then"
"$agent_host" "$store" "$weather" --drop 1 >build/quickstart/events.txt
events build/quickstart/events.txt

say "The user stops an answer: what was streamed stays"
"$agent_host" "$store" "$weather" --cancel 2 --conversation stopped | sed -n '/^assistant/,$p'

say "The host is killed in mid-stream: the message is interrupted, and all that was acknowledged is there"
bash -c '"$@" | grep "^: "' bash "$agent_host" "$store" "$tea" --crash 1 --conversation killed
"$holdfast" show "$store" killed | tail -n 3

say "Its next start settles the message, and goes on"
"$agent_host" "$store" "$tea" --conversation killed --search kettle | sed -n '/^: /p; /^--- search/,$p'

say "A key that comes in two pieces, with redact in the chain: not even its first half reaches the disk"
"$agent_host" "$store" "$key" --use redact --conversation keys 2>>"$log" | sed -n '/^: /p; /^assistant/,+1p'

say "A fork: the conversation goes on in two ways"
echo '{"op":"fork","conversationId":"killed","title":"Another way"}' | "$holdfast" run "$store"

say "The conversations of the store, newest activity first"
"$holdfast" ls "$store"

say "One of them; its secrets never reached the disk"
"$holdfast" show "$store" deploy-002

say "An op of your own: one line of JSON in, one out"
echo '{"op":"add","conversationId":"demo","role":"user","content":"Thank you!"}' | "$holdfast" run "$store" --use audit

say "Done: the store is $store, an ordinary SQLite file. Next: README.md, then ./tests/run.sh"
