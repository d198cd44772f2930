# From src/options.rs by UPDATE=1 cargo test --test shipping

_sni_check() {
    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}
    # bash splits --name=value into three words.
    if [[ $current == = ]]; then
        current=
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
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
        *)
            if [[ $current == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--help --sni --no-sni --connect --port --method --uri --header --body --expect --max-body --verify --verify-host --ca-file --crl-file --crt --key --ssl-min-ver --ssl-max-ver --min-cert-days --warn-cert-days --send-proxy --send-proxy-v2 --source --timeout --quiet --verbose --json --syslog --version' -- "$current")
            else
                mapfile -t COMPREPLY < <(compgen -A hostname -- "$current")
            fi
            ;;
    esac
}

complete -F _sni_check sni-check
