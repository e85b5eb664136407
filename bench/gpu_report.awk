# SPDX-License-Identifier: Apache-2.0
# The report of bench/gpu; see gpu_report, which hands over the files. The table stays below 9,000 characters
# whatever happened: it is the one thing sure to be seen where only the end of the output comes back.

# ---- reading ------------------------------------------------------------------------------------

BEGIN {
    FS = "\t"
    longest = 8800 # characters of the table
    at_the_end = 1250 # of them for what follows the failures
}
FNR == 1 {
    n = split(FILENAME, part, "/")
    base = part[n]
    folder = part[n - 1]
}
base == "facts" {
    if ($1 == "version") version[++versions] = $2
    else if ($1 == "cards") scaling = scaling (scaling == "" ? "" : "; ") $2
    else if ($1 == "clocks") clocks = clocks (clocks == "" ? "" : "; ") $2
    else fact[$1] = $2
    next
}
folder == "results" && FNR == 1 {
    check[++checks] = $1
    outcome[checks] = $2
    took[checks] = $3
    note[checks] = $4
    state[$1] = $2
    told[$1] = $4
    next
}
folder == "results" {line[checks, ++lines[checks]] = $0; next}
folder == "runs" && base ~ /^ops-/ {read_op(substr(base, 5)); next}
folder == "runs" {
    if (FNR == 1) run[++runs] = base
    gsub(/^ +/, "")
    text[base] = text[base] (text[base] == "" ? "" : " ") $0
}

# NAME SHAPE MS ms RATE GB/s [RATE GFLOP/s], as checkops --bench prints it.
function read_op(dtype, w, k, i, shape) {
    k = split($0, w, / +/)
    for (i = 3; i < k && w[i] != "ms"; i++) shape = shape (i > 3 ? " " : "") w[i - 1]
    if (i >= k || w[i + 2] != "GB/s") return
    op_dtype[++op_count] = dtype
    op_name[op_count] = w[1]
    op_shape[op_count] = shape
    op_ms[op_count] = w[i - 1]
    op_gbps[op_count] = w[i + 1]
    op_gflops[op_count] = w[i + 4] == "GFLOP/s" ? w[i + 3] : ""
}

# ---- figures ------------------------------------------------------------------------------------

# A number of a JSON object, the first of that name; "" when it is not there.
function number(s, key, found) {
    if (!match(s, "\"" key "\": *-?[0-9][0-9.eE+-]*")) return ""
    found = substr(s, RSTART, RLENGTH)
    sub(/.*: */, "", found)
    return found + 0
}
# Runs that broke off do not count.
function whole(s, opened, closed) {
    if (s !~ /^[{].*[}]$/) return 0
    opened = gsub(/[{]/, "", s)
    closed = gsub(/[}]/, "", s)
    return opened == closed
}
# The median of a figure over the rounds of a run.
function median(name, key, i, j, v, a, n) {
    for (i = 1; i <= runs; i++) {
        if (substr(run[i], 1, length(run[i]) - 2) != name || !whole(text[run[i]])) continue
        v = number(text[run[i]], key)
        if (v == "") continue
        for (j = n++; j > 0 && a[j] > v; j--) a[j + 1] = a[j]
        a[j + 1] = v
    }
    if (!n) return ""
    return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
function step_of(program, b, cameras) {return median(program "-b" b "-c" cameras, "step_ms")}
function greater(a, b) {return a == "" ? b : b == "" ? a : a > b ? a : b}
# The rates a precision is held against: the better of what our ops and PyTorch's reach.
function matrix_rate(dtype) {
    return greater(median("tact-" dtype "-b" batch[1] "-c1", "peak_gflops"),
                   median("torch-" (dtype == "bfloat16" ? "bf16" : dtype) "-peak", "peak_gflops"))
}
function copy_rate() {
    return greater(median("tact-" dtypes[dtype_count] "-b" batch[1] "-c1", "copy_gbps"),
                   median("torch-float32-peak", "copy_gbps"))
}
function ratio(a, b, digits) {return a == "" || !(b > 0) ? "" : sprintf("%." digits "f", a / b)}
function shown(value, digits) {return value == "" ? "-" : sprintf("%." digits "f", value)}

# ---- the table ----------------------------------------------------------------------------------

function say(s) {
    said += length(s) + 1
    print s > table
}
function given(s, otherwise) {return s == "" ? otherwise : s}
function cut(s, n) {return length(s) > n ? substr(s, 1, n - 3) "..." : s}

function head(i) {
    say(cut(given(fact["card"], "no card") ", driver " given(fact["driver"], "none") ", CUDA compiler " given(fact["cuda"], "none") \
        "; PyTorch " given(fact["torch"], "none"), 300))
    say(cut(fact["processor"] ", " fact["cores"] " cores; " given(fact["tact"], "tact: none") \
        (fact["commit"] == "" ? "" : ", commit " fact["commit"]), 300))
    for (i = 1; i <= versions && i <= 4; i++) say(cut(version[i], i == 1 || version[i] ~ /^TACT/ ? 400 : 250))
    if (fact["rehearsal"] == "true") say("A rehearsal: none of the times means anything.")
    if (fact["early"] != "") say(toupper(fact["early"]) ": the table so far")
    if (under_way != "") say(cut("under way at " seconds " s: " under_way, 300))
}

# Prints the line of the table that decides, for each precision.
function right_row(title, prefix, suffix, i, row, name, word, found) {
    row = sprintf("%-22s", title)
    for (i = 1; i <= dtype_count; i++) {
        name = prefix "-" dtypes[i] suffix
        if (name in state) found = 1
        word = given(state[name], "-")
        if (match(told[name], /deviation from the CPU [0-9.]+/))
            word = word " (" substr(told[name], RSTART + 23, RLENGTH - 23) " off)"
        row = row sprintf("%-32s", word)
    }
    sub(/ +$/, "", row)
    if (found || suffix == "") say(row)
}
function right(i, row) {
    if (dtype_count == 0 || fact["device"] == "") return
    row = sprintf("\n%-22s", "right?")
    for (i = 1; i <= dtype_count; i++) row = row sprintf("%-32s", dtypes[i])
    sub(/ +$/, "", row)
    say(row)
    right_row("  checkops", "checkops", "")
    right_row("  failed ops alone", "checkops", "-alone")
    right_row("  golden", "golden", "")
    right_row("  loss beside CPU", "curve", "")
}

function steps(c, i, k, v, row, n, column) {
    n = split("tact-float32 tact-tf32 tact-bfloat16 torch-eager-float32 torch-eager-tf32 torch-eager-bf16 torch-compile-bf16",
              column, " ")
    say("\nms a step     tact: float32     tf32     bf16   PyTorch eager: float32     tf32     bf16   compiled: bf16")
    for (c = 1; c <= 2; c++)
        for (i = 1; i <= 2; i++) {
            row = sprintf("%-13s", "b " batch[i] (c == 1 ? " 1 camera" : " 2 cams"))
            step_json = step_json (step_json == "" ? "" : ",\n    ") "{\"batch_size\": " batch[i] ", \"cameras\": " c \
                ", \"image\": " quoted(fact["image"]) ", \"obs_state_horizon\": 2"
            for (k = 1; k <= n; k++) {
                v = step_of(column[k], batch[i], c)
                row = row sprintf(k == 1 ? "%14s" : k == 4 ? "%25s" : k == 7 ? "%17s" : "%9s", shown(v, 2))
                step_json = step_json ", \"" column[k] "\": " given(v, "null")
            }
            say(row)
            step_json = step_json "}"
        }
    say("")
}

# Adds a line to the table and one to the JSON.
function goal(what, value, sign, limit, met) {
    met = value == "" ? "null" : (sign == "<=" ? value + 0 <= limit : value + 0 >= limit) ? "true" : "false"
    say(sprintf("  %-46s %8s   goal %s %-4s %s", what, given(value, "-"), sign, limit,
                met == "null" ? "not measured" : met == "true" ? "met" : "missed"))
    goal_json = goal_json (goal_json == "" ? "" : ",\n    ") "{\"goal\": " quoted(what) ", \"measured\": " given(value, "null") \
        ", \"is\": \"" sign "\", \"limit\": " limit ", \"met\": " met "}"
}

function figures(ours, dtype, b) {
    dtype = dtypes[dtype_count]
    ours = "tact-" dtype
    b = batch[1]
    steps()
    goal("ms a step, " dtype ", batch " b ", 1 camera", ratio(step_of(ours, b, 1), 1, 2), "<=", 8)
    goal("times PyTorch eager TF32, batch " b, ratio(step_of("torch-eager-tf32", b, 1), step_of(ours, b, 1), 2), ">=", 3)
    goal("times PyTorch compiled bf16, batch " b,
         ratio(step_of("torch-compile-bf16", b, 1), step_of(ours, b, 1), 2), ">=", 1.5)
    goal("ms latency of one observation, " dtype, ratio(median(ours "-infer", "latency_ms"), 1, 2), "<=", 2)
    goal("of the measured matrix rate, batch " batch[2],
         ratio(median(ours "-b" batch[2] "-c1", "gflops"), matrix_rate(dtype), 3), ">=", 0.4)
    say(sprintf("\nlatency, ms: tact float32 %s, tf32 %s, bf16 %s; PyTorch eager float32 %s, tf32 %s, bf16 %s, compiled bf16 %s",
        shown(median("tact-float32-infer", "latency_ms"), 2), shown(median("tact-tf32-infer", "latency_ms"), 2),
        shown(median("tact-bfloat16-infer", "latency_ms"), 2), shown(median("torch-eager-float32-infer", "latency_ms"), 2),
        shown(median("torch-eager-tf32-infer", "latency_ms"), 2), shown(median("torch-eager-bf16-infer", "latency_ms"), 2),
        shown(median("torch-compile-bf16-infer", "latency_ms"), 2)))
    say(sprintf("rates: matrix product %s TFLOP/s (%s), copy %s GB/s",
        given(ratio(matrix_rate(dtype), 1000, 1), "-"), dtype, shown(copy_rate(), 0)))
}

# ops.tsv, and in the table the six ops that lose most against the nearer of the two rates.
function print_ops(i, k, best, copy, matrix, most, printed) {
    print "dtype\top\tshape\tms\tGB/s\tGFLOP/s\tof copy\tof matrix\tms lost" > ops
    copy = copy_rate()
    for (i = 1; i <= op_count; i++) {
        matrix = matrix_rate(op_dtype[i])
        of_copy[i] = copy > 0 ? sprintf("%.3f", op_gbps[i] / copy) : 0
        of_matrix[i] = matrix > 0 ? sprintf("%.3f", op_gflops[i] / matrix) : 0
        best = of_copy[i] + 0 > of_matrix[i] + 0 ? of_copy[i] : of_matrix[i]
        lost[i] = best < 1 ? op_ms[i] * (1 - best) : 0
        print op_dtype[i] "\t" op_name[i] "\t" op_shape[i] "\t" op_ms[i] "\t" op_gbps[i] "\t" op_gflops[i] "\t" \
            of_copy[i] "\t" of_matrix[i] "\t" sprintf("%.4f", lost[i]) > ops
    }
    close(ops)
    if (op_count) say("ops that lose most against those rates (ops.tsv has all):")
    for (k = 1; k <= 6 && k <= op_count; k++) {
        most = 0
        for (i = 1; i <= op_count; i++)
            if (!(i in printed) && (!most || lost[i] > lost[most])) most = i
        printed[most] = 1
        say(cut(sprintf("  %-20s %-30s %8s %8.3f ms, %3.0f %% of copy, %3.0f %% of matrix", op_name[most], op_shape[most],
                        op_dtype[most], op_ms[most], 100 * of_copy[most], 100 * of_matrix[most]), 130))
    }
}

# Lists what failed in the order of the phases, with its first lines; the more failed, the fewer lines of each.
function failures(i, k, n, most, left, s, unsaid) {
    for (i = 1; i <= checks; i++) n += outcome[i] == "FAIL" || outcome[i] == "TIMEOUT"
    if (!n) return
    most = n <= 5 ? 4 : n <= 9 ? 2 : 1
    left = longest - at_the_end - said
    say("")
    for (i = 1; i <= checks; i++) {
        if (outcome[i] != "FAIL" && outcome[i] != "TIMEOUT") continue
        s = outcome[i] "  " check[i] ": " cut(note[i], 120)
        for (k = 1; k <= lines[i] && k <= most; k++) s = s "\n         " cut(line[i, k], 200)
        if (unsaid || length(s) + 1 > left) {
            unsaid++
            continue
        }
        left -= length(s) + 1
        say(s)
    }
    if (unsaid) say("and " unsaid " more that failed: see bench_gpu.log")
}

function skips(i, k, n, why, names) {
    for (i = 1; i <= checks; i++) {
        if (outcome[i] != "skipped") continue
        if (!(note[i] in names)) why[++n] = note[i]
        names[note[i]] = names[note[i]] " " check[i]
    }
    for (k = 1; k <= n && k <= 4; k++) say("skipped  " cut(why[k], 120) ":" cut(names[why[k]], 120))
    if (n > 4) say("and more that was skipped: see bench_gpu.log")
}

# ---- the JSON -----------------------------------------------------------------------------------

# Quotes are found one by one because awks differ in what sub() makes of a backslash.
function quoted(s, r, i) {
    gsub(/\\/, "&&", s)
    gsub(/[^ -~]/, "?", s)
    while (i = index(s, "\"")) {
        r = r substr(s, 1, i - 1) "\\\""
        s = substr(s, i + 1)
    }
    return "\"" r s "\""
}
function put(s) {print s > json}

function write_json(i, k, s, keys, n) {
    put("{")
    n = split("card driver cuda processor commit tact torch device early", keys, " ")
    for (i = 1; i <= n; i++) put("  \"" keys[i] "\": " quoted(fact[keys[i]]) ",")
    for (i = 1; i <= versions; i++) s = s (i > 1 ? ", " : "") quoted(version[i])
    put("  \"versions\": [" s "],")
    put("  \"cores\": " given(fact["cores"], "null") ",")
    put("  \"rehearsal\": " given(fact["rehearsal"], "null") ",")
    put("  \"quick\": " given(fact["quick"], "null") ",")
    put("  \"seconds\": " seconds ",")
    put("  \"card_count\": " given(fact["card_count"], "null") ",")
    put("  \"cards\": " quoted(scaling) ",")
    put("  \"clocks\": " quoted(clocks) ",")
    put("  \"under_way\": " quoted(under_way) ",")
    put("  \"checks\": [")
    for (i = 1; i <= checks; i++) {
        s = ""
        for (k = 1; k <= lines[i]; k++) s = s (k > 1 ? ", " : "") quoted(line[i, k])
        put("    {\"name\": " quoted(check[i]) ", \"outcome\": " quoted(tolower(outcome[i])) ", \"seconds\": " took[i] + 0 \
            ", \"note\": " quoted(note[i]) ", \"lines\": [" s "]}" (i < checks ? "," : ""))
    }
    put("  ],\n  \"step_ms\": [")
    if (step_json != "") put("    " step_json)
    put("  ],\n  \"goals\": [")
    if (goal_json != "") put("    " goal_json)
    put("  ],\n  \"ops\": [")
    for (i = 1; i <= op_count; i++)
        put("    {\"dtype\": " quoted(op_dtype[i]) ", \"op\": " quoted(op_name[i]) ", \"shape\": " quoted(op_shape[i]) \
            ", \"ms\": " op_ms[i] + 0 ", \"gbps\": " op_gbps[i] + 0 ", \"gflops\": " given(op_gflops[i], "null") \
            ", \"of_copy\": " of_copy[i] ", \"of_matrix\": " of_matrix[i] "}" (i < op_count ? "," : ""))
    put("  ],\n  \"runs\": {")
    k = 0
    for (i = 1; i <= runs; i++)
        if (whole(text[run[i]])) put("    " (k++ ? "," : "") quoted(run[i]) ": " text[run[i]])
    put("  }\n}")
    close(json)
}

END {
    dtype_count = split(fact["dtypes"], dtypes, " ")
    split(fact["batches"], batch, " ")
    head()
    right()
    if (fact["measured"] != "") figures()
    if (scaling != "") say("\ncards, each with batch " batch[1] " at " dtypes[dtype_count] ": " cut(scaling, 300))
    print_ops()
    failures()
    say("")
    skips()
    for (i = 1; i <= checks; i++) sum[outcome[i]]++
    say(sprintf("%d passed, %d failed, %d skipped in %d s; the log and all figures are in ", sum["pass"],
                sum["FAIL"] + sum["TIMEOUT"], sum["skipped"], seconds) cut(out, 200))
    close(table)
    write_json()
}
