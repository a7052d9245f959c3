"""The API of Kubernetes for tests, over a real socket with TLS or without: pods, jobs, Secrets and events of a namespace, watches, logs, and refusals as documented.

It leaves out everything else: other resources and verbs, PATCH and PUT, OpenAPI, discovery, admission but for quotas and service accounts, RBAC beyond a set of
what is denied, pages of lists, HTTP/2. Jobs make one pod each. What it refuses it refuses with a `Status`, as the real one does.
"""

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs

from tests.kubernetes.node import Container, Line, Node
from tests.kubernetes.store import Key, Object, Store, now
from tests.steps.http_server import Asked, Handler, HttpServer, reply

TOKEN: Final = "token-of-the-cluster"
_PATH: Final = re.compile(r"/(?:api/v1|apis/batch/v1)/namespaces/([^/]+)/(pods|secrets|events|jobs)(?:/([^/]+))?(/log)?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LARGEST_SECRET: Final = 1024 * 1024
_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
}
_KINDS: Final = {"pods": "Pod", "secrets": "Secret", "events": "Event", "jobs": "Job"}


class RefusedError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, message: str, wait: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait

    @property
    def said(self) -> Object:
        """The answer."""
        details = {} if self.wait is None else {"retryAfterSeconds": self.wait}
        reason = _REASONS.get(self.status, "")
        return {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": str(self), "reason": reason, "details": details, "code": self.status,
        }  # fmt: skip


class FakeCluster(HttpServer):
    """A cluster with one node. `denied` are verbs and resources (`create pods`); `busy` are refusals for the next requests; `loses` says of which
    resources the next answer to a POST is lost, `before` or `after` it was carried out."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.store = Store()
        self.node = Node(self.store)
        self.token: str | None = TOKEN
        """None lets anybody in."""
        self.namespaces = {"default", "lab"}
        self.service_accounts = {"default", "operator"}
        self.denied: set[str] = set()
        self.quota = ""
        self.busy: list[RefusedError] = []
        self.loses: dict[str, str] = {}
        self.on_lost: Callable[[], None] = lambda: None
        """Called when an answer was lost."""
        self.cuts_logs_after: list[int] = []
        """After how many bytes each of the next logs breaks off."""
        self._streams: set[asyncio.StreamWriter] = set()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.node.close()
        await super().__aexit__(kind, error, trace)

    def names(self, resource: str, namespace: str = "default") -> list[str]:
        """Return how what there is of a resource is called."""
        return [each["metadata"]["name"] for each in self.store.found(resource, namespace)]

    def everything(self) -> list[str]:
        """Return all that is there but events."""
        return sorted(f"{resource}/{name}" for resource, _, name in self.store.objects if resource != "events")

    def pod_key(self) -> Key:
        """Return the key of the one pod."""
        (key,) = [key for key in self.store.objects if key[0] == "pods"]
        return key

    def remove_pod(self, key: Key) -> None:
        """Remove a pod as somebody does by hand."""
        self._delete(key, {"gracePeriodSeconds": 1})

    def cut(self) -> None:
        """Break every connection on which something is watched or followed."""
        for writer in self._streams:
            writer.transport.abort()

    def lose_node(self) -> None:
        """Let the node be heard of no more, as its controller says it of its pods."""
        self.node.is_lost = True
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        }
        for key in [key for key in self.store.objects if key[0] == "pods"]:
            self.node.status(key, lambda said: said["status"].setdefault("conditions", []).append(condition))

    def handler_of(self, asked: Asked) -> Handler:
        """See `HttpServer`."""
        return self._answer

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, _, query = asked.target.partition("?")
        given = {name: values[0] for name, values in parse_qs(query).items()}
        try:
            found = self._permitted(asked, path, given, writer)
            namespace, resource, name, is_log = found[1], found[2], found[3], found[4]
            if is_log:
                return await self._log(("pods", namespace, name), given, writer)
            if "watch" in given:
                return await self._watch(resource, namespace, given, writer)
            lost = self.loses.pop(resource, "") if asked.method == "POST" else ""
            if lost == "before":
                return writer.transport.abort()
            status, said = self._carry_out(asked, namespace, resource, name, given)
            if lost == "after":
                self.on_lost()
                return writer.transport.abort()
        except RefusedError as error:
            status, said = error.status, error.said
            headers = {} if error.wait is None else {"retry_after": str(error.wait)}
            return await _say(status, said, **headers)(asked, reader, writer)
        return await _say(status, said)(asked, reader, writer)

    def _permitted(self, asked: Asked, path: str, given: dict[str, str], writer: asyncio.StreamWriter) -> "re.Match[str]":
        if self.busy:
            raise self.busy.pop(0)
        has_certificate = bool(writer.get_extra_info("peercert"))
        if not has_certificate and self.token is not None and asked.header("authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "Unauthorized")
        found = _PATH.fullmatch(path)
        if found is None or (found[2] == "jobs") is not path.startswith("/apis/batch/"):
            raise RefusedError(404, "the server could not find the requested resource")
        reads = "watch" if "watch" in given else "get" if found[3] else "list"
        verb = {"POST": "create", "DELETE": "delete"}.get(asked.method, reads)
        resource = f"{found[2]}/log" if found[4] else found[2]
        if f"{verb} {resource}" in self.denied:
            group = "batch" if found[2] == "jobs" else ""
            message = f'{found[2]} is forbidden: User "system:serviceaccount:noc:stepswitch" cannot {verb} resource "{resource}" in API group "{group}"'
            raise RefusedError(403, f'{message} in the namespace "{found[1]}"')
        return found

    def _carry_out(self, asked: Asked, namespace: str, resource: str, name: str | None, given: dict[str, str]) -> tuple[int, Object]:
        key = (resource, namespace, name or "")
        match asked.method, name:
            case "GET", None:
                items = self.store.found(resource, namespace, given.get("labelSelector", ""), given.get("fieldSelector", ""))
                return 200, {
                    "kind": f"{_KINDS[resource]}List",
                    "apiVersion": "v1",
                    "metadata": {"resourceVersion": str(self.store.version)},
                    "items": items,
                }
            case "POST", None:
                return 201, self.create(namespace, resource, json.loads(asked.body))
            case (("GET" | "DELETE"), str()):
                if key not in self.store.objects:
                    raise RefusedError(404, f'{resource} "{name}" not found')
                if asked.method == "DELETE":
                    self._delete(key, json.loads(asked.body or b"{}"))
                    return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
                return 200, self.store.objects[key]
        raise RefusedError(405, "the server does not allow this method on the requested resource")

    def create(self, namespace: str, resource: str, said: Object) -> Object:
        """Make an object, and see to it."""
        if namespace not in self.namespaces:
            raise RefusedError(404, f'namespaces "{namespace}" not found')
        name = said["metadata"]["name"]
        faults = list(_faults(resource, said))
        if faults:
            raise RefusedError(422, f'{_KINDS[resource]} "{name}" is invalid: {"; ".join(faults)}')
        if (resource, namespace, name) in self.store.objects:
            raise RefusedError(409, f'{resource} "{name}" already exists')
        if resource == "pods":
            self._admit(namespace, said)
            said = {**said, "status": {"phase": "Pending"}}
        made = self.store.add(resource, namespace, said)
        if resource == "pods":
            self.node.take(("pods", namespace, name))
        if resource == "jobs":
            self._make_pod_of(namespace, made)
        return made

    def _admit(self, namespace: str, said: Object) -> None:
        name, account = said["metadata"]["name"], said["spec"].get("serviceAccountName", "default")
        if account not in self.service_accounts:
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise RefusedError(403, f'pods "{name}" is forbidden: {why}')
        if self.quota:
            raise RefusedError(403, f'pods "{name}" is forbidden: exceeded quota: {self.quota}')

    def _make_pod_of(self, namespace: str, job: Object) -> None:
        template, name = job["spec"]["template"], job["metadata"]["name"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        meta = {"name": f"{name}-x2k9p", "labels": {**template["metadata"]["labels"], "job-name": name}, "ownerReferences": [owner]}
        try:
            self.create(namespace, "pods", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})
        except RefusedError as error:
            involved = {"kind": "Job", "namespace": namespace, "name": name}
            event = {
                "metadata": {"name": f"{name}.17"},
                "involvedObject": involved,
                "reason": "FailedCreate",
                "type": "Warning",
                "message": f"Error creating: {error}",
            }
            self.store.add("events", namespace, event)

    def _delete(self, key: Key, options: Object) -> None:
        said = self.store.objects[key]
        is_at_node = key[0] == "pods" and "nodeName" in said["spec"] and said["status"]["phase"] not in ("Succeeded", "Failed")
        if not is_at_node or options.get("gracePeriodSeconds") == 0:
            return self.store.remove(key)
        grace = options.get("gracePeriodSeconds", said["spec"].get("terminationGracePeriodSeconds", 30))
        if "deletionTimestamp" not in said["metadata"]:
            said["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": grace}
            self.store.put("MODIFIED", key, said)
            self.node.stop(key, grace)
        return None

    async def _watch(self, resource: str, namespace: str, given: dict[str, str], writer: asyncio.StreamWriter) -> None:
        version = int(given["resourceVersion"])
        self._open(writer, "application/json")
        if version < self.store.remembered_from:
            return await self._end(writer, _event("ERROR", RefusedError(410, f"too old resource version: {version}").said))
        if given.get("allowWatchBookmarks") == "true":
            bookmark = {"kind": _KINDS[resource], "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}}
            await _send(writer, _event("BOOKMARK", bookmark))
        try:
            async with asyncio.timeout(float(given["timeoutSeconds"])):
                while True:
                    news = self.store.news
                    for change in self.store.since(version, resource, namespace, given.get("labelSelector", "")):
                        version = change.version
                        await _send(writer, _event(change.kind, change.said))
                    await news.wait()
        except TimeoutError:
            return await self._end(writer, b"")
        finally:
            self._streams.discard(writer)

    async def _log(self, key: Key, given: dict[str, str], writer: asyncio.StreamWriter) -> None:
        container = self.node.containers.get(key)
        if key not in self.store.objects:
            raise RefusedError(404, f'pods "{key[2]}" not found')
        if container is None or container.process is None:
            raise RefusedError(400, f'container "script" in pod "{key[2]}" is waiting to start: ContainerCreating')
        self._open(writer, "text/plain")
        left = self.cuts_logs_after.pop(0) if self.cuts_logs_after else None
        try:
            async for data in _told(container, given):
                if left is not None and len(data) >= left:
                    await _send(writer, data[:left])
                    return writer.transport.abort()
                left = None if left is None else left - len(data)
                await _send(writer, data)
            return await self._end(writer, b"")
        finally:
            self._streams.discard(writer)

    def _open(self, writer: asyncio.StreamWriter, kind: str) -> None:
        self._streams.add(writer)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode())

    async def _end(self, writer: asyncio.StreamWriter, last: bytes) -> None:
        await _send(writer, last)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _told(container: Container, given: dict[str, str]) -> Any:
    """Give a log as a node does: from the second that is asked for, with times where they are wanted."""
    since, place, begins = given.get("sinceTime", ""), 0, True
    while True:
        news = container.news
        data = bytearray()
        while place < len(container.lines):
            line: Line = container.lines[place]
            place += 1
            if since and line.time.decode()[:19] < since[:19]:
                continue
            if begins and given.get("timestamps") == "true":
                data += line.time + b" "
            data += line.text + (b"\n" if line.is_whole else b"")
            begins = line.is_whole
        if data:
            yield bytes(data)
        if given.get("follow") != "true" or (container.has_ended and place == len(container.lines)):
            return
        if place == len(container.lines):
            await news.wait()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()


def _event(kind: str, said: Object) -> bytes:
    return json.dumps({"type": kind, "object": said}).encode() + b"\n"


def _say(status: int, said: Object, **headers: str) -> Handler:
    return reply(status, json.dumps(said).encode(), content_type="application/json", connection="close", **headers)


def _faults(resource: str, said: Object) -> Iterable[str]:
    """Give what a server finds wrong with an object, of what this one looks at."""
    meta = said["metadata"]
    if not _NAME.fullmatch(meta["name"]) or len(meta["name"]) > 253:
        yield f'metadata.name: Invalid value: "{meta["name"]}"'
    for value in meta.get("labels", {}).values():
        if not _LABEL.fullmatch(value):
            yield f'metadata.labels: Invalid value: "{value}"'
    if resource == "secrets":
        if not all(map(_KEY.fullmatch, said["data"])):
            yield "data: Invalid value: a key"
        if sum(len(value) * 3 // 4 for value in said["data"].values()) > _LARGEST_SECRET:
            yield "data: Too long: may not be more than 1048576 bytes"
    if resource == "pods":
        container = said["spec"]["containers"][0]
        for kind in ("requests", "limits"):
            for amount in container.get("resources", {}).get(kind, {}).values():
                if not re.fullmatch(r"[0-9.]+(m|[KMGT]i?)?", str(amount)):
                    yield f"spec.containers[0].resources.{kind}: Invalid value: quantities must match the regular expression"
