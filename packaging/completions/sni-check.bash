# From src/options.rs and src/command.rs by UPDATE=1 cargo test --test shipping made_from

_sni_check() {
    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}
    local options='--help --sni --no-sni --connect --port --method --uri --header --body --expect --max-head --max-body --verify --verify-host --ca-file --crl-file --crt --key --ssl-min-ver --ssl-max-ver --alpn --handshake-only --min-cert-days --warn-cert-days --send-proxy --send-proxy-v2 --source --timeout --quiet --verbose --json --syslog --version'
    # bash splits --name=value into three words.
    if [[ $current == = ]]; then
        current=
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'diagnose doctor serve explain' -- "$current"; compgen -A hostname -- "$current")
        return
    fi
    case ${COMP_WORDS[1]} in
        diagnose)
            options='--file --env --help --sni --no-sni --connect --port --method --uri --header --body --expect --max-head --max-body --verify --verify-host --ca-file --crl-file --crt --key --ssl-min-ver --ssl-max-ver --alpn --handshake-only --min-cert-days --warn-cert-days --send-proxy --send-proxy-v2 --source --timeout --verbose --json --haproxy --serve --color'
            ;;
        serve)
            options='--help --listen --files --max-checks --mode --group --allow-remote --allow-target --ping --help --sni --no-sni --connect --port --method --uri --header --body --expect --max-head --max-body --verify --verify-host --ca-file --crl-file --crt --key --ssl-min-ver --ssl-max-ver --alpn --handshake-only --min-cert-days --warn-cert-days --send-proxy --send-proxy-v2 --source --timeout --quiet --verbose --json --syslog'
            ;;
        doctor)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--help --file --env --haproxy --run --root --ignore --json --github --color' -- "$current")
            else
                compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            fi
            return
            ;;
        explain)
            [[ $COMP_CWORD -eq 2 ]] && mapfile -t COMPREPLY < <(compgen -W '--help 0 1 2 3 31 32 41 42 43 51 53 54 55 56 57 58 61 62 63 64 65 66 71 72 73 74 75 76 255 127 126 101 143 4294967295 PROCERR PROCTOUT PROCOK SOCKERR L4CON L4TOUT L6RSP L6TOUT L7STS L7RSP L7TOUT L7OK L7OKC L6OK L4OK INI MAINT NOLB DRAIN HANA' -- "$current")
            return
            ;;
    esac
    case $option in
        --sni)
            :
            ;;
        --connect)
            :
            ;;
        --port)
            :
            ;;
        --method)
            :
            ;;
        --uri)
            :
            ;;
        --header)
            :
            ;;
        --body)
            :
            ;;
        --expect)
            :
            ;;
        --max-head)
            :
            ;;
        --max-body)
            :
            ;;
        --verify)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'required none' -- "$current")
            ;;
        --verify-host)
            :
            ;;
        --ca-file)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W '@system-ca @bundled' -- "$current")
            ;;
        --crl-file)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --crt)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --key)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --ssl-min-ver)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'TLSv1.2 TLSv1.3' -- "$current")
            ;;
        --ssl-max-ver)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'TLSv1.2 TLSv1.3' -- "$current")
            ;;
        --alpn)
            :
            ;;
        --min-cert-days)
            :
            ;;
        --warn-cert-days)
            :
            ;;
        --source)
            :
            ;;
        --timeout)
            :
            ;;
        --syslog)
            :
            ;;
        --haproxy)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'none' -- "$current")
            ;;
        --serve)
            :
            ;;
        --color)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W 'auto always never' -- "$current")
            ;;
        --listen)
            :
            ;;
        --files)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --max-checks)
            :
            ;;
        --mode)
            :
            ;;
        --group)
            :
            ;;
        --allow-target)
            :
            ;;
        --file)
            compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        --env)
            :
            ;;
        *)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
            fi
            ;;
    esac
}

complete -F _sni_check sni-check
