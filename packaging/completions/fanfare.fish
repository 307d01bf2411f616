# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fanfare_global_optspecs
    string join \n addr= admin-addr= unix-mode= max-clients= max-clients-per-ip= send-buffer= allow-origin= trusted-proxy= proxy-protocol publish-token= publish-token-file= listen-token= listen-token-file= jwt-key= jwt-key-file= allow-host= max-message= send-queue= slow= max-queued= message-rate= echo max-rooms= history= history-size= history-age= max-history= linger= deflate deflate-min= deflate-level= backplane= backplane-prefix= backplane-wait= backplane-entries= pong-wait= ping-period= write-wait= request-timeout= keep-alive= drain-delay= drain= log= log-format= config= check print-config h/help V/version
end

function __fish_fanfare_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fanfare_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fanfare_using_subcommand
    set -l cmd (__fish_fanfare_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fanfare -n "__fish_fanfare_needs_command" -l addr -d 'Where to listen: HOST:PORT for all addresses of the host, :PORT or PORT for all interfaces, IPv6 and IPv4; port 0 picks a free port; unix:/PATH for a Unix socket; repeatable, or separated by commas' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l admin-addr -d 'Where those who operate the server reach it, even when it is full; written like --addr [default: nowhere]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l unix-mode -d 'Who may connect to the Unix sockets, as chmod takes it in digits' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-clients -d 'How many clients may be connected [default: what the descriptor limit allows]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-clients-per-ip -d 'How many clients may be connected from one IPv4 address or IPv6 /64 [default: a quarter of --max-clients, at least 100, and no limit for loopback, where a proxy connects for all its clients]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l send-buffer -d 'The size of the kernel\'s send buffer of each client [default: the kernel\'s choice]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l allow-origin -d 'An origin whose pages may connect, besides the server\'s own: https://HOST:PORT, https://*.HOST:PORT for one or more labels before it, null or file:// for local files, * for all; repeatable, or separated by commas' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l trusted-proxy -d 'A network whose proxies tell the client\'s address, in X-Forwarded-For or, where that is missing, in Forwarded: 10.0.0.0/8, fd00::/8, one address, or unix for those on Unix sockets; repeatable, or separated by commas. Its own addresses have no limit per address' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l publish-token -d 'The token that publishing takes; it allows listening too. A command line can be seen by others: the environment or a file is a better place' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l publish-token-file -d 'A file with the publish token' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l listen-token -d 'The token that listening takes' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l listen-token-file -d 'A file with the listen token' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l jwt-key -d 'The key of the JSON Web Tokens that a back end signs (HS256), at least 32 bytes; with it, listening and publishing take a token that names the room' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l jwt-key-file -d 'A file with the key of the JSON Web Tokens' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l allow-host -d 'A host that requests may be for: NAME for any port, or NAME:PORT; requests for others get 421. Repeatable, or separated by commas [default: all hosts]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-message -d 'The largest message a client may send' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l send-queue -d 'How many messages may wait for one client. A client with more is offered them once more; it is dropped if its socket takes nothing, and at twice as many in any case' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l slow -d 'What becomes of a client that is further behind than the send queue and takes nothing: close drops it; skip leaves out what it has not begun to take, and tells it how much, if it reads ids (fanfare.v1, SSE)' -r -f -a "close\t'It is dropped'
skip\t'What it has not begun to take is left out, and it is told how much. One that reads no ids is dropped'"
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-queued -d 'How many bytes may be queued for all clients together, with those that were read and wait for the next turn; beyond it the clients with the most queued are dropped' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l message-rate -d 'How many messages, pings and pongs a client may send per second, with a burst of as many; 0 for no limit' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-rooms -d 'How many rooms there may be. A room is there while it has a listener or history, and 5 minutes longer' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l history -d 'How many messages a room keeps for clients that come, or come back; 0 for none' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l history-size -d 'How much memory the kept messages of a room may take' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l history-age -d 'How long a room keeps a message' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l max-history -d 'How much memory the kept messages of all rooms may take together; beyond it the rooms published to least recently lose theirs first' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l linger -d 'How long a message waits for others of its room, so that they leave together' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l deflate-min -d 'How long what is published in one turn must be to be compressed' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l deflate-level -d 'How hard to compress: from 1, the fastest, to 9' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l backplane -d 'The Valkey or Redis server that several nodes share: redis://USER:PASSWORD@HOST:PORT/DB, of which only redis://HOST is needed; USER may be empty. A command line can be seen by others: with a password, the environment is a better place [default: none, one node alone]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l backplane-prefix -d 'What the names of all keys in the broker begin with, so that several groups of nodes may share it' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l backplane-wait -d 'How long what is published may wait while the broker is away, before it is refused' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l backplane-entries -d 'How many entries the broker keeps, about: each holds what one room of one node published in one turn' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l pong-wait -d 'How long to wait for a pong, and for the rest of a message that was begun' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l ping-period -d 'How often to ping; must be below the pong wait [default: 25s, or 9/10 of the pong wait where that is less]' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l write-wait -d 'How long a client\'s socket may take nothing while something is queued for it' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l request-timeout -d 'How long a whole request may take, from its first byte; for the first request, from the connection' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l keep-alive -d 'How long a kept HTTP connection may be without a further request' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l drain-delay -d 'How long a shutdown is announced, by 503 at /readyz, before it begins: as long as those who send clients here take to notice' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l drain -d 'How long a shutdown takes at most: clients are closed one after the other over three quarters of it, each after what is queued for it' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l log -d 'What to log: a level (off, error, warn, info, debug, trace) or a filter such as fanfare=debug' -r
complete -c fanfare -n "__fish_fanfare_needs_command" -l log-format -d 'How log lines look: auto is text on a terminal and JSON elsewhere' -r -f -a "auto\t'Text on a terminal, JSON elsewhere'
text\t'For people'
json\t'One JSON object a line'"
complete -c fanfare -n "__fish_fanfare_needs_command" -l config -d 'Read settings from this file too (TOML): the same names as the flags, such as max-clients = 1000, and lists for repeatable ones. Flags and the environment win' -r -F
complete -c fanfare -n "__fish_fanfare_needs_command" -l proxy-protocol -d 'Require a PROXY header (version 1 or 2) at the beginning of every connection, and take the client\'s address from it. With --trusted-proxy only from there, and other connections are closed; without it from everybody: only where nobody but the proxy can reach the port'
complete -c fanfare -n "__fish_fanfare_needs_command" -l echo -d 'Also serve /echo, which sends every message back to its sender'
complete -c fanfare -n "__fish_fanfare_needs_command" -l deflate -d 'Compress messages for WebSocket clients that offer it (permessage-deflate), once for all of them. Lengths may then betray a secret that stands in one message beside a text that an attacker chose'
complete -c fanfare -n "__fish_fanfare_needs_command" -l check -d 'Check all settings and exit: with 0 if they are good, else with 2'
complete -c fanfare -n "__fish_fanfare_needs_command" -l print-config -d 'Print all settings as a settings file, with where each comes from, and exit. Secrets are hidden'
complete -c fanfare -n "__fish_fanfare_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fanfare -n "__fish_fanfare_needs_command" -s V -l version -d 'Print version'
complete -c fanfare -n "__fish_fanfare_needs_command" -f -a "health" -d 'Ask a running server whether it lives: exit code 0 if it does, 1 otherwise'
complete -c fanfare -n "__fish_fanfare_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c fanfare -n "__fish_fanfare_using_subcommand health" -s h -l help -d 'Print help'
complete -c fanfare -n "__fish_fanfare_using_subcommand help; and not __fish_seen_subcommand_from health help" -f -a "health" -d 'Ask a running server whether it lives: exit code 0 if it does, 1 otherwise'
complete -c fanfare -n "__fish_fanfare_using_subcommand help; and not __fish_seen_subcommand_from health help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
