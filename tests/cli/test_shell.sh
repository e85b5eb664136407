#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the program writes about itself for shells and for man: bash completes with it, zsh and fish can read it, man
# has nothing to say against it, and every flag of the help is in all of them.
. "$(dirname "$0")/common.sh"

"$TACT" help >"$WORK/overview"
mapfile -t commands < <(sed -n '/^usage/,/^  help /s/^  \([a-z]*\) .*/\1/p' "$WORK/overview" | grep -vx help)
holds "commands are listed" test "${#commands[@]}" -ge 7
for shell in bash zsh fish; do
    accepts "completion for $shell" "$TACT" help --completion=$shell
    cp "$WORK/out" "$WORK/tact.$shell"
done
refuses "another shell" 'completion=csh: expected bash, zsh or fish$' "$TACT" help --completion=csh
refuses "no shell" 'completion=: expected bash' "$TACT" help --completion
refuses "a page of nothing" 'trian: no such command; did you mean .tact train' "$TACT" help --man=trian

# ---- every flag is everywhere --------------------------------------------------------------------
# Flags of tact's own: in the help of train they stand above those of LeRobot that do nothing.
own_flags() { "$TACT" help "$1" | sed '/^Flags of LeRobot/,$d' | sed -n 's/^  --\([A-Za-z0-9_.]*\).*/\1/p' | sort -u; }
grep -oE '^    \{"[a-z0-9_.]+", FIELD' "$(dirname "$0")/../../src/config/fields.c" | grep -oE '[a-z0-9_]+[a-z0-9_.]*' | sort -u >"$WORK/settings"
holds "settings are known" test "$(wc -l <"$WORK/settings")" -gt 80
holds "every setting is in the help of train" test -z "$(own_flags train | comm -13 - "$WORK/settings")"
accepts "the overview's man page" "$TACT" help --man
cp "$WORK/out" "$WORK/tact.1"
for command in "${commands[@]}"; do
    accepts "man page of $command" "$TACT" help --man="$command"
    cp "$WORK/out" "$WORK/tact-$command.1"
    holds "tact(1) names $command" grep -qF "tact\\-$command\\fR(1)" "$WORK/tact.1"
    own_flags "$command" >"$WORK/flags"
    holds "$command has flags" test -s "$WORK/flags"
    sed -n 's/^\\fB\\-\\-\([A-Za-z0-9_.]*\).*/\1/p' "$WORK/tact-$command.1" | sort -u >"$WORK/found"
    holds "man page of $command: flags" test -z "$(comm -23 "$WORK/flags" "$WORK/found")"
    sed -n "/^        $command)/,/esac/s/^ *flags='\(.*\)'/\1/p" "$WORK/tact.bash" | tr -s ' ' '\n' |
        sed 's/^--//; s/=$//' | sort -u >"$WORK/found"
    holds "bash, $command: flags" test -z "$(comm -23 "$WORK/flags" "$WORK/found")"
    sed -n "/^        $command)/,/;;/s/^ *'--\([A-Za-z0-9_.]*\).*/\1/p" "$WORK/tact.zsh" | sort -u >"$WORK/found"
    holds "zsh, $command: flags" test -z "$(comm -23 "$WORK/flags" "$WORK/found")"
    sed -n "s/^complete .*'__tact_command $command' -l \([A-Za-z0-9_.]*\) .*/\1/p" "$WORK/tact.fish" | sort -u >"$WORK/found"
    holds "fish, $command: flags" test -z "$(comm -23 "$WORK/flags" "$WORK/found")"
done

# ---- bash completes ------------------------------------------------------------------------------
# Run in a bash of its own; where no line is edited compopt has nothing to set, so it is noted instead.
cat >"$WORK/complete" <<'END'
. "$1"
shift
compopt() { echo "compopt $*"; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tact
printf '%s\n' "${COMPREPLY[@]}"
END
# completes EXPECTED WORD...: what bash offers where the last word ends, with '=' a word of its own.
completes() {
    local expected=$1
    shift
    bash "$WORK/complete" "$WORK/tact.bash" "$@" >"$WORK/out" 2>&1
    [ "$(paste -sd ' ' "$WORK/out")" = "$expected" ] && { ok; return; }
    bad "completion of '$*': '$(paste -sd ' ' "$WORK/out")' is not '$expected'"
}
completes "train" tact tr
completes "${commands[*]} help --version" tact ""
completes "compopt -o nospace --policy.obs_state_horizon= --policy.obs_down_sample_steps=" tact train --policy.obs
completes "compopt -o nospace --policy.chunk_size=" tact train --policy.ch
completes "bfloat16" tact train --policy.dtype = bf
completes "float32 tf32 bfloat16 int8 null" tact train --policy.dtype =
completes "float32 tf32 bfloat16 int8 null" tact train --policy.dtype ""
completes "--policy.dtype=tf32" tact train --policy.dtype=t
completes "true" tact train --resume = t
completes "strawberry strawberry_swing" tact sim record --env.type = straw
completes "record" tact sim re
completes "ResNet34_Weights.IMAGENET1K_V1" tact train --policy.pretrained_backbone_weights = ResNet34
completes "compopt -o default " tact train --policy.pretrained_backbone_weights = ./we
completes "compopt -o default " tact train --config_path = ru
completes "compopt -o dirnames -o nospace " tact train --dataset.root = da
completes "compopt -o dirnames -o nospace " tact info da
completes "compopt -o dirnames -o nospace " tact report run da
completes "compopt -o default " tact report run --output_file = pa
completes "--json" tact eval --js
completes "" tact train --steps = 5
completes "act tact" tact convert run --to =
completes "sim" tact help si
completes "fish" tact help --completion = f

# ---- zsh, fish and man ---------------------------------------------------------------------------
for shell in zsh fish; do
    if command -v $shell >/dev/null; then accepts "$shell reads it" env HOME="$WORK" $shell -n "$WORK/tact.$shell"
    else echo "skipped: no $shell here"; fi
done
if command -v fish >/dev/null; then
    offered=$(HOME=$WORK fish -c "source $WORK/tact.fish; complete -C 'tact train --policy.dtype=bf'" | cut -f 1)
    holds "fish completes a value" test "$offered" = "--policy.dtype=bfloat16"
fi
for page in tact "${commands[@]/#/tact-}"; do
    if command -v man >/dev/null; then
        LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$WORK/$page.1" >/dev/null 2>"$WORK/err"
        holds "man on $page.1: $(head -n 1 "$WORK/err")" test ! -s "$WORK/err"
    fi
    if command -v groff >/dev/null; then
        groff -ww -man -Tutf8 -z "$WORK/$page.1" 2>"$WORK/err"
        holds "groff on $page.1: $(head -n 1 "$WORK/err")" test ! -s "$WORK/err"
    fi
done
command -v man >/dev/null || command -v groff >/dev/null || echo "skipped: no man and no groff here"
finish
