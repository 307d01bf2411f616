complete -c fanfare -l addr -d 'Where to listen: HOST:PORT for all addresses of the host, :PORT or PORT for all interfaces, IPv6 and IPv4; port 0 picks a free port' -r
complete -c fanfare -l max-clients -d 'How many clients may be connected [default: what the descriptor limit allows]' -r
complete -c fanfare -l max-clients-per-ip -d 'How many clients may be connected from one IPv4 address or IPv6 /64 [default: a quarter of --max-clients, at least 100, and no limit for loopback, where a proxy connects for all its clients]' -r
complete -c fanfare -l send-buffer -d 'The size of the kernel\'s send buffer of each client [default: the kernel\'s choice]' -r
complete -c fanfare -l allow-origin -d 'An origin whose pages may connect, besides the server\'s own: https://HOST:PORT, null or file:// for local files, * for all; repeatable, or separated by commas' -r
complete -c fanfare -l max-message -d 'The largest message a client may send' -r
complete -c fanfare -l send-queue -d 'How many messages may wait for one client. A client with more is offered them once more; it is dropped if its socket takes nothing, and at twice as many in any case' -r
complete -c fanfare -l slow -d 'What becomes of a client that is further behind than the send queue and takes nothing: close drops it; skip leaves out what it has not begun to take, and tells it how much, if it reads ids (fanfare.v1, SSE)' -r -f -a "close\t'It is dropped'
skip\t'What it has not begun to take is left out, and it is told how much. One that reads no ids is dropped'"
complete -c fanfare -l max-queued -d 'How many bytes may be queued for all clients together, with those that were read and wait for the next turn; beyond it the clients with the most queued are dropped' -r
complete -c fanfare -l message-rate -d 'How many messages, pings and pongs a client may send per second, with a burst of as many; 0 for no limit' -r
complete -c fanfare -l max-rooms -d 'How many rooms there may be. A room is there while it has a listener or history, and 5 minutes longer' -r
complete -c fanfare -l history -d 'How many messages a room keeps for clients that come, or come back; 0 for none' -r
complete -c fanfare -l history-size -d 'How much memory the kept messages of a room may take' -r
complete -c fanfare -l history-age -d 'How long a room keeps a message' -r
complete -c fanfare -l max-history -d 'How much memory the kept messages of all rooms may take together; beyond it the rooms published to least recently lose theirs first' -r
complete -c fanfare -l linger -d 'How long a message waits for others of its room, so that they leave together' -r
complete -c fanfare -l pong-wait -d 'How long to wait for a pong, and for the rest of a message that was begun' -r
complete -c fanfare -l ping-period -d 'How often to ping; must be below the pong wait [default: 25s, or 9/10 of the pong wait where that is less]' -r
complete -c fanfare -l write-wait -d 'How long a client\'s socket may take nothing while something is queued for it' -r
complete -c fanfare -l request-timeout -d 'How long a whole request may take, from its first byte; for the first request, from the connection' -r
complete -c fanfare -l keep-alive -d 'How long a kept HTTP connection may be without a further request' -r
complete -c fanfare -l drain -d 'How long a shutdown takes at most: clients are closed one after the other over three quarters of it, each after what is queued for it' -r
complete -c fanfare -l log -d 'What to log: a level (off, error, warn, info, debug, trace) or a filter such as fanfare=debug' -r
complete -c fanfare -l log-format -d 'How log lines look: auto is text on a terminal and JSON elsewhere' -r -f -a "auto\t'Text on a terminal, JSON elsewhere'
text\t'For people'
json\t'One JSON object a line'"
complete -c fanfare -l config -d 'Read settings from this file too (TOML): the same names as the flags, such as max-clients = 1000, and lists for repeatable ones. Flags and the environment win' -r -F
complete -c fanfare -l echo -d 'Also serve /echo, which sends every message back to its sender'
complete -c fanfare -l check -d 'Check all settings and exit: with 0 if they are good, else with 2'
complete -c fanfare -l print-config -d 'Print all settings as a settings file, with where each comes from, and exit. Secrets are hidden'
complete -c fanfare -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fanfare -s V -l version -d 'Print version'
