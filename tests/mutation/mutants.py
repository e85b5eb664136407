# SPDX-License-Identifier: Apache-2.0
"""Finds the places of a C file that can be changed, and what they can be changed to.

It reads tokens, not syntax: the project's format (clang-format) tells a product from a pointer by its spaces.
"""
import re
from dataclasses import dataclass

TOKEN = re.compile(r"""
    (?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op>->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\.\.\.|[^\s])
""", re.X | re.S | re.M)

SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
         "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
# What is said to people, and what is given back: changes there are no changes of a number.
TEXT = re.compile(r"^(fail|fail_\w+|log_\w+|device_fail|snprintf|text_printf|assert|static_assert|_Static_assert)$")
FREES = re.compile(r"^(\w*_free|\w*_close|mem_free|close|closedir|fclose|free|json_decref|remove_tree|log_\w+|assert|va_end|va_start)$")
MAKES = re.compile(r"^(NEW|mem_try|mem_new|arena_alloc|eval_doubles|NEW_ARRAY)$")
TYPES = {"const", "static", "int", "double", "float", "char", "bool", "struct", "enum", "unsigned", "void", "size_t",
         "typedef", "extern", "long", "short", "union"}
KEYWORDS = {"if", "for", "while", "do", "switch", "else", "case", "default", "return", "goto", "break", "continue",
            "sizeof"}


@dataclass
class Token:
    kind: str
    text: str
    at: int
    scope: str = ""  # "", "text" (in the arguments of a message), "room" (of an allocation), "array" (a declared size)
    depth: int = 0

    @property
    def end(self):
        return self.at + len(self.text)


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int
    kind: str
    at: int
    end: int
    new: str
    text: str  # the line, without its indentation
    change: str  # what becomes what; which of its kind on this line (#2), and which line of this text (@2)

    @property
    def key(self):
        return self.path, self.text, self.change


def tokens(source):
    out = []
    for m in TOKEN.finditer(source):
        if m.lastgroup != "skip":
            out.append(Token(m.lastgroup, m.group(), m.start()))
    stack, depth = [], 0
    for i, t in enumerate(out):
        if t.text in "([{" and t.kind == "op":
            before = out[i - 1] if i else None
            scope = stack[-1] if stack else ""
            if t.text == "(" and before and before.kind == "name":
                if TEXT.match(before.text):
                    scope = "text"
                elif MAKES.match(before.text):
                    scope = "room"
            if t.text == "[" and before and before.kind == "name" and i > 1 and is_declarator(out, i - 1):
                scope = "array"
            stack.append(scope)
            depth += t.text == "{"
        elif t.text in ")]}" and t.kind == "op" and stack:
            stack.pop()
            depth -= t.text == "}"
        t.scope = stack[-1] if stack else ""
        t.depth = depth
    return out


def is_declarator(ts, i):
    """Whether the name at i is being declared: a type, a star or a comma of declarators stands before it."""
    before = ts[i - 1]
    if before.text == "*":
        return True
    if before.kind == "name":
        return before.text not in KEYWORDS
    return False


def spaced(source, t):
    return source[t.at - 1].isspace() and source[t.end].isspace()


def number_changes(text):
    if re.fullmatch(r"\d+[uUlL]*", text):
        value, suffix = int(re.match(r"\d+", text).group()), re.sub(r"^\d+", "", text)
        return [str(value + 1) + suffix] + ([str(value - 1) + suffix] if value > 0 else [])
    if re.match(r"0[xX]", text):
        return []
    value = float(text.rstrip("fF"))
    suffix = "f" if text[-1] in "fF" else ""
    return ["1.0" + suffix] if value == 0 else [f"{value * 2!r}" + suffix, f"{value / 2!r}" + suffix]


def closing(ts, i):
    """The index of the bracket that closes the one at i."""
    depth = 0
    for k in range(i, len(ts)):
        if ts[k].text in "([{":
            depth += 1
        elif ts[k].text in ")]}":
            depth -= 1
            if depth == 0:
                return k
    return None


def statement_end(ts, i):
    depth = 0
    for k in range(i, len(ts)):
        if ts[k].text in "([{":
            depth += 1
        elif ts[k].text in ")]}":
            depth -= 1
            if depth < 0:
                return None
        elif ts[k].text == ";" and depth == 0:
            return k
    return None


def begins_statement(ts, i):
    before = ts[i - 1].text
    if before in (";", "{", "}") or before in ("else", "do"):
        return True
    if before == ":":  # a label or a case, not a ?:
        return ts[i - 2].kind == "name" and ts[i - 3].text in (";", "{", "}", "case")
    if before != ")":
        return False
    depth = 0  # `if (...) statement`, `for (...) statement`
    for k in range(i - 1, -1, -1):
        depth += (ts[k].text == ")") - (ts[k].text == "(")
        if depth == 0:
            return ts[k - 1].text in ("if", "for", "while", "switch")
    return False


def dropped_statement(ts, i):
    """The index of the `;` of a statement at i that can be left out, else None."""
    t = ts[i]
    if t.depth == 0 or not begins_statement(ts, i):
        return None
    end = statement_end(ts, i)
    if end is None:
        return None
    if t.text in ("break", "continue"):
        return end
    if t.text == "return":  # not a function's last word, which decides what it gives back
        last = ts[end + 1].text == "}" and ts[end + 1].depth == 0
        return None if last else end
    if t.text in ("*", "++", "--", "("):
        return end
    if t.kind != "name" or t.text in TYPES or t.text in KEYWORDS or FREES.match(t.text):
        return None
    after = ts[i + 1].text
    if after in ("(", "=", "[", ".", "->", "++", "--", "+=", "-=", "*=", "/=", "|=", "&=", "^=", "%=", "<<=", ">>="):
        return end
    return None


def find(path, source):
    """Every mutant of a file, in the order of its text."""
    ts, found, counts = tokens(source), [], {}
    lines = [line.strip() for line in source.split("\n")]

    def add(kind, at, end, new, what):
        line = source.count("\n", 0, at)
        text = lines[line]
        n = counts[(line, what)] = counts.get((line, what), 0) + 1
        same = lines[:line + 1].count(text)
        change = what + (f" #{n}" if n > 1 else "") + (f" @{same}" if same > 1 else "")
        found.append(Mutant(path, line + 1, kind, at, end, new, text, change))

    for i, t in enumerate(ts):
        if i == 0 or i + 2 >= len(ts):
            continue
        if t.scope != "text":
            if t.kind == "op" and t.text in SWAPS and (spaced(source, t)):
                kind = ("comparison" if t.text in ("<", "<=", ">", ">=", "==", "!=") else
                        "logic" if t.text in ("&&", "||") else "arithmetic")
                add(kind, t.at, t.end, SWAPS[t.text], f"{t.text} to {SWAPS[t.text]}")
            elif t.kind == "number" and t.scope != "array" and t.depth + (t.scope == "") > 0:
                for new in number_changes(t.text):
                    if t.scope == "room" and float(new.rstrip("uUlLfF")) > float(t.text.rstrip("uUlLfF")):
                        continue  # more memory than is needed
                    add("constant", t.at, t.end, new, f"{t.text} to {new}")
        if t.text in ("if", "while") and ts[i + 1].text == "(":
            end = closing(ts, i + 1)
            inside = source[ts[i + 1].end:ts[end].at]
            add("condition", ts[i + 1].end, ts[end].at, f"!({inside})", f"{t.text} negated")
        end = dropped_statement(ts, i)
        if end is not None:
            whole = " ".join(source[t.at:ts[end].end].split())
            kind = "jump" if t.text in ("break", "continue") else "statement"
            add(kind, t.at, ts[end].at, "\n" * source.count("\n", t.at, ts[end].at), f"without `{whole}`")
    return found
