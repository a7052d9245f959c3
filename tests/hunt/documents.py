"""Workflows that take secrets everywhere: through every step type there is, into texts, errors and logs, in every form that a device may print."""

import json
from typing import Any

JsonObject = dict[str, Any]
PASSWORD = {"type": "password"}
_SPEAK = (
    "console.log('takes ' + pw); console.error(JSON.stringify({pw: pw})); console.warn(encodeURIComponent(pw));"
    "console.debug(encodeURIComponent(token) + ' ' + token);"
    "console.log(Array.from(pw).map(c => c).join('')); return { said: 'it was <' + pw + '> and ' + token }"
)
_CONVERSE = "PS1='ready> '\nread -p 'Password: ' said; echo \"it was <$said>\"; printf 'x%s' \"$said\" | base64; no-such \"$said\""
_ENTER = (
    'echo "$TEXT"; printf %s "$TEXT" | base64 -w0; echo; printf "x%s" "$TEXT" | base64 -w0; echo; echo "no $TEXT" >&2; env | grep -a TEXT'
)
_PRINT = (
    'pw="{{plain}}"; printf "%.6s" "$pw"; sleep 0.4; printf "%s\\n" "${pw#??????}"; printf "%s" "$pw" | base64 -w0; echo;'
    'printf "x%s" "$pw" | base64 -w0; echo; printf "%s" "$pw" | od -An -v -tx1 | tr -d " \\n"; echo; echo "error: $pw" >&2;'
    'head -c 20000 /dev/zero | tr "\\0" "y"; echo "$pw"'
)
_CONTAIN = (
    'echo "it was <$PW>"; printf "%s" "$PW" | base64 -w0; echo; printf "%.6s" "$PLAIN"; sleep 0.4; printf "%s\\n" "${PLAIN#??????}"; '
    'printf \'{"echoed": "%s"}\' "$PLAIN" >"$STEPSWITCH_OUTPUT"; no-such "$TOKEN" || exit 3'
)


def text(default: str) -> JsonObject:
    return {"type": "string", "defaultValue": default}


def taken(name: str, kind: str = "string") -> JsonObject:
    return {"type": kind, "exportName": name}


def asking(api: str, **inputs: JsonObject) -> JsonObject:
    """Return a step that asks an API which says everything back, in a way that was not expected; the way goes on at `fail`."""
    return {
        "type": "HTTP", "nextStepId": "fail", "policy": {"onFailureStepId": "fail"},
        "inBindings": {"method": text("POST"), "expectedStatus": text("299"), "url": text(f"{api}/?k={{{{plain}}}}"), **inputs},
    }  # fmt: skip


def hunted(secrets: dict[str, str], *, host: str, port: int, user: str, api: str) -> JsonObject:
    """Return a workflow whose way ends at a script that fails and quotes what it was given."""
    login = {
        "hostNameOrIP": text(host),
        "port": {"type": "number", "defaultValue": port},
        "username": text(user),
        "password": taken("login", "password"),
    }
    pair = {"pw": taken("assigned", "password"), "token": taken("token", "password")}
    parts = ", ".join(f"'{letter}'" for letter in secrets["made by a script"])
    return {
        "name": "hunted", "version": "1", "schemaVersion": "3.0", "startStepId": "begin",
        "inputs": {
            "assigned": {**PASSWORD, "required": True},
            "login": {**PASSWORD, "required": True},
            "large": {**PASSWORD, "required": True},
            "plain": {**PASSWORD, "required": True},
            "chosen": {**PASSWORD, "defaultValue": secrets["default of an input"]},
        },
        "variables": {
            "kept": {**PASSWORD, "defaultValue": secrets["default of a variable"]},
            "token": PASSWORD,
            "printed": PASSWORD,
            "text": {"type": "string"},
        },
        "outputs": {"result": {"type": "string"}, "secret": PASSWORD},
        "steps": {
            "begin": {
                "type": "NOOP", "nextStepId": "make",
                "inBindings": {"pw": {**PASSWORD, "defaultValue": secrets["default of a step"]}, "large": taken("large", "password")},
                "conditions": [{"name": "assigned", "comparator": "equals", "value": secrets["compared"], "nextStepId": "make"}],
            },
            "make": {
                "type": "JS", "nextStepId": "speak",
                "inBindings": {"script": text(f"const made = [{parts}].join(''); return {{ made: made }}")},
                "outBindings": {"token": {"name": "made", "type": "password"}},
            },
            "speak": {
                "type": "JS", "nextStepId": "print",
                "inBindings": {"script": text(_SPEAK), **pair},
                "outBindings": {"text": {"name": "said", "type": "string"}},
            },
            "print": {
                "type": "TCA_SSH", "nextStepId": "converse",
                "inBindings": {**login, "cmd": text(_PRINT)},
                "outBindings": {"printed": {"name": "outputText", "type": "password"}, "result": {"name": "errorText", "type": "string"}},
            },
            "converse": {
                "type": "TCA_SSH", "nextStepId": "ask", "policy": {"onFailureStepId": "ask"},
                "inBindings": {
                    **login, "shell": {"type": "boolean", "defaultValue": True}, "prompt": text("ready>|.*[$#]"), "cmd": text(_CONVERSE),
                    "answers": {**PASSWORD, "defaultValue": json.dumps({"Password": secrets["replied"]})}, "failPattern": text("no-such"),
                },
                "outBindings": {"result": {"name": "outputText", "type": "string"}},
            },
            "ask": {
                **asking(
                    api,
                    username=text(user),
                    password=taken("assigned", "password"),
                    headers=text('{"X-Key": "{{plain}}"}'),
                    body=taken("token", "password"),
                ),
                "nextStepId": "copy", "policy": {"onFailureStepId": "copy"},
                "outBindings": {"result": {"name": "body", "type": "string"}},
            },
            "copy": {
                "type": "TCA_SCP", "nextStepId": "contain", "policy": {"onFailureStepId": "contain"},
                "inBindings": {**login, "sourcePath": text("/nowhere/{{plain}}"), "outFile": text("copied")},
            },
            "contain": {
                "type": "K8S", "nextStepId": "refuse", "policy": {"onFailureStepId": "refuse"},
                "inBindings": {
                    "vimLocation": text("lab"), "image": text("tools:1"), "script": text(_CONTAIN),
                    "PW": taken("assigned", "password"), "TOKEN": taken("token", "password"), "PLAIN": taken("plain", "password"),
                },
                "outBindings": {"result": {"name": "echoed", "type": "string"}},
            },
            "refuse": {
                "type": "K8S", "nextStepId": "fail", "policy": {"onFailureStepId": "fail"},
                "inBindings": {"vimLocation": text("lab"), "image": text("missing-{{plain}}:1"), "script": text("echo {{plain}}")},
            },
            "fail": {
                "type": "JS", "nextStepId": "end",
                "inBindings": {
                    "script": text("throw new Error('cannot use ' + pw + ' nor ' + token + ' nor ' + btoa_(kept)); function btoa_(v) { return v }"),
                    "kept": taken("kept", "password"), "text": taken("text"), **pair,
                },
                "outBindings": {"secret": {"name": "pw", "type": "password"}},
            },
            "end": {"type": "NOOP"},
        },
    }  # fmt: skip


def telling(*, host: str, port: int, user: str, api: str) -> JsonObject:
    """Return a workflow whose steps take credentials and tell of them what they can; the last one fails with them."""
    names = ("stored", "variable", "file", "vault", "cluster")
    given = {name: taken(name, "password") for name in names}
    tell = "".join(
        f"console.log('takes ' + {name}); console.error(encodeURIComponent({name})); console.warn(JSON.stringify({{v: {name}}}));"
        for name in names
    )
    whole = "'it was <' + stored + '> and ' + variable + file + vault + cluster"
    return {
        "name": "telling", "version": "1", "schemaVersion": "3.0", "startStepId": "tell",
        "inputs": dict.fromkeys((*names, "login"), PASSWORD),
        "variables": {"text": {"type": "string"}, "kept": PASSWORD},
        "outputs": {"result": {"type": "string"}},
        "steps": {
            "tell": {
                "type": "JS", "nextStepId": "print", "inBindings": {"script": text(f"{tell} return {{ said: {whole}, pw: stored }}"), **given},
                "outBindings": {"text": {"name": "said", "type": "string"}, "kept": {"name": "pw", "type": "password"}},
            },
            "print": {
                "type": "TCA_SSH", "nextStepId": "enter",
                "inBindings": {
                    "hostNameOrIP": text(host), "port": {"type": "number", "defaultValue": port}, "username": text(user),
                    "password": taken("login", "password"), "stdin": taken("text"), "cmd": text("cat; base64"),
                },
                "outBindings": {"result": {"name": "outputText", "type": "string"}},
            },
            "enter": {
                "type": "TCA_EXEC", "nextStepId": "ask",
                "inBindings": {"virtualMachine": text("smf-1"), "env": text('{"TEXT": "{{text}}"}'), "cmd": text(_ENTER)},
                "outBindings": {"result": {"name": "outputText", "type": "string"}},
            },
            "ask": {
                **asking(api, url=text(f"{api}/"), username=text(user), password=taken("file", "password"), body=taken("vault", "password")),
                "outBindings": {"result": {"name": "headers", "type": "string"}},
            },
            "fail": {"type": "JS", "inBindings": {"script": text(f"throw new Error({whole})"), **given}},
        },
    }  # fmt: skip


def logging_in(*, host: str, port: int, behind: int) -> JsonObject:
    """Return a workflow whose steps say where they act, and leave it to the inventory as whom: at a device, and at another one `behind` it. Each device tells what it was told."""
    number = {"type": "number"}
    there = {"hostNameOrIP": text(host), "port": {**number, "defaultValue": port}}
    behind_it = {**there, "port": {**number, "defaultValue": behind}}
    shell = {**there, "shell": {"type": "boolean", "defaultValue": True}, "prompt": text("ready>|.*[$#]")}
    payload = text('<system xmlns="urn:example:system"><motd>new</motd></system>')
    steps = {
        "ask": ("TCA_SSH", {**there, "cmd": text("cat told; cat told >&2; base64 told; false")}, "outputText"),
        "converse": ("TCA_SSH", {**shell, "cmd": text("cat told"), "failPattern": text(".+")}, "outputText"),
        "copy": ("TCA_SCP", {**there, "sourcePath": text("/nowhere/at-all"), "outFile": text("copied")}, "result"),
        "read": ("NETCONF", {**behind_it, "action": text("get")}, "output"),
        "change": ("NETCONF", {**behind_it, "action": text("merge"), "payload": payload}, "output"),
    }
    following = dict(zip(steps, [*list(steps)[1:], None], strict=True))
    return {
        "name": "logging in", "version": "1", "schemaVersion": "3.0", "startStepId": "ask", "outputs": {"result": {"type": "string"}},
        "steps": {
            name: {
                "type": kind, "inBindings": inputs, "outBindings": {"result": {"name": output, "type": "string"}},
                **({"nextStepId": following[name], "policy": {"onFailureStepId": following[name]}} if following[name] else {}),
            }
            for name, (kind, inputs, output) in steps.items()
        },
    }  # fmt: skip


def waiting(*, host: str, port: int, user: str, api: str) -> JsonObject:
    """Return a workflow that stays at its device until somebody cuts it."""
    return {
        "name": "waiting", "version": "1", "schemaVersion": "3.0", "startStepId": "wait",
        "inputs": {"login": {**PASSWORD, "required": True}, "plain": {**PASSWORD, "required": True}},
        "steps": {
            "wait": {
                "type": "TCA_SSH",
                "inBindings": {
                    "hostNameOrIP": text(host), "port": {"type": "number", "defaultValue": port}, "username": text(user),
                    "password": taken("login", "password"), "cmd": text("echo {{plain}}; echo it has beg''un; sleep 60"),
                },
            },
        },
    }  # fmt: skip


def refused(secret: str) -> list[tuple[str, str, JsonObject]]:
    """Return requests that are wrong in a way that tempts to quote them: method, path, body."""
    declared = {"name": "x", "version": "1", "schemaVersion": "3.0", "steps": {}}
    return [
        ("PUT", "/telco/api/workflows/workflow", {**declared, "inputs": {"pw": {"type": "password", "defaultValue": [secret]}}}),
        ("PUT", "/telco/api/workflows/workflow", {**declared, "inputs": {"pw": {"type": "password", "defaultValue": {"a": secret}}}}),
        ("PUT", "/telco/api/workflows/workflow", {**declared, "startStepId": "none", "inputs": {"pw": {"type": "password", "default": secret}}}),
        ("POST", "/stepswitch/api/v1/validate", {**declared, "inputs": {"pw": {"type": "password", "defaultValue": secret, "format": 7}}}),
        ("POST", "/telco/api/workflows/convert", {"owner": {"id": "a", "type": "USER"}, "original": {
            "schemaVersion": "1.0", "name": "old", "version": "1",
            "steps": [{"stepId": "a", "type": "JS", "workflow": "x", "inBinding": [{"name": "pw", "type": "securestring", "default": secret}]}],
        }}),
    ]  # fmt: skip
