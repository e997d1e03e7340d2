"""Serves video files over RTSP like cameras would; a script for the system's Python, which has GStreamer's bindings.

Used as `/usr/bin/python3 -I rtsp_server.py SETTINGS.json`, with
`{"port": 8554, "auth": "basic" | "digest", "credentials": "user:password" | "",
  "mounts": {"/cam1": {"clip": "file.mp4", "loop": true}}}`.

H.264 and H.265 from any container that GStreamer demuxes go out untouched, over TCP or UDP as the client wishes.
A looped clip's timestamps go on rising, as a camera's do. Clients share a mount's stream; it starts with the clip's
first frame when the first client comes, and again after the last has left. Prints `ready` once it listens.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402, F401 - GstApp gives appsink pull

Gst.init(None)

_PAYLOADERS = {"video/x-h264": ("h264parse", "rtph264pay"), "video/x-h265": ("h265parse", "rtph265pay")}
_DEFAULT_RATE = 25


class AccessUnit(NamedTuple):
    """Times in nanoseconds from the clip's first decoding time."""

    data: bytes
    pts: int
    dts: int


class Clip(NamedTuple):
    caps: str
    units: list[AccessUnit]
    duration: int


def codec_of(path: Path) -> str:
    """`video/x-h264` or `video/x-h265`. Raises ValueError for anything else."""
    pipeline = Gst.parse_launch("filesrc name=file ! parsebin name=parse")
    pipeline.get_by_name("file").set_property("location", str(path))
    found: list[str] = []

    def added(element: Any, pad: Any) -> None:
        name = pad.query_caps(None).get_structure(0).get_name()
        found.append(name)
        sink = Gst.ElementFactory.make("fakesink")
        pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
        if name in _PAYLOADERS:
            element.post_message(Gst.Message.new_application(element, Gst.Structure.new_empty("found")))

    pipeline.get_by_name("parse").connect("pad-added", added)
    pipeline.set_state(Gst.State.PAUSED)
    kinds = Gst.MessageType.APPLICATION | Gst.MessageType.ASYNC_DONE | Gst.MessageType.ERROR | Gst.MessageType.EOS
    message = pipeline.get_bus().timed_pop_filtered(20 * Gst.SECOND, kinds)
    pipeline.set_state(Gst.State.NULL)
    for name in found:
        if name in _PAYLOADERS:
            return name
    reason = message.parse_error()[0].message if message and message.type == Gst.MessageType.ERROR else f"{found}"
    raise ValueError(f"{path}: neither H.264 nor H.265 ({reason})")


def read_clip(path: Path) -> Clip:
    """All access units in decoding order, parameter sets in front of each keyframe. Raises ValueError."""
    codec = codec_of(path)
    parser = _PAYLOADERS[codec][0]
    pipeline = Gst.parse_launch(
        f"filesrc name=file ! parsebin name=parse expose-all-streams=false "
        f"parse. ! {parser} config-interval=-1 ! {codec},stream-format=byte-stream,alignment=au "
        "! appsink name=sink sync=false max-buffers=64"
    )
    pipeline.get_by_name("file").set_property("location", str(path))
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    samples, caps = [], None
    while (sample := sink.emit("pull-sample")) is not None:
        buffer, caps = sample.get_buffer(), sample.get_caps()
        samples.append((buffer.extract_dup(0, buffer.get_size()), buffer.pts, buffer.dts, buffer.duration))
    pipeline.set_state(Gst.State.NULL)
    if not samples or caps is None:
        raise ValueError(f"{path}: no video in it")
    return timed(samples, caps)


def timed(samples: list[tuple[bytes, int, int, int]], caps: Any) -> Clip:
    """Give every sample times; a raw stream has none, then the frame rate in its parameter sets makes them."""
    none = Gst.CLOCK_TIME_NONE
    structure = caps.get_structure(0)
    known, numerator, denominator = structure.get_fraction("framerate")
    if not known or not numerator:
        numerator, denominator = _DEFAULT_RATE, 1
    step = Gst.SECOND * denominator // numerator
    if any(pts == none for _, pts, _, _ in samples):
        units = [AccessUnit(data, i * step, i * step) for i, (data, _, _, _) in enumerate(samples)]
        return Clip(caps.to_string(), units, len(units) * step)
    # without B-frames decoders' times may be missing; they are then the presentation times
    pairs = [(data, pts, dts if dts != none else pts) for data, pts, dts, _ in samples]
    start = min(min(pts, dts) for _, pts, dts in pairs)
    units = [AccessUnit(data, pts - start, dts - start) for data, pts, dts in pairs]
    last = max(unit.pts for unit in units)
    length = next((d for _, pts, _, d in samples if pts - start == last and d not in (0, none)), step)
    return Clip(caps.to_string(), units, last + length - min(unit.pts for unit in units))


class ClipFactory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]
    """Feeds a clip's access units to whoever plays the mount."""

    def __init__(self, clip: Clip, loop: bool) -> None:
        super().__init__()
        self.clip, self.loop = clip, loop
        self.media: Any = None
        parser, payloader = _PAYLOADERS[clip.caps.split(",", 1)[0]]
        self.set_shared(True)
        # The clip has its parameter sets already. Were the payloader to add them, it would do so before every slice,
        # and receivers take a second set within one picture for the start of another.
        self.set_launch(
            f"( appsrc name=source is-live=true format=time max-bytes=0 "
            f"! {parser} ! {payloader} name=pay0 pt=96 config-interval=0 )"
        )
        self.connect("media-configure", self.configure)

    def configure(self, _factory: Any, media: Any) -> None:
        self.media = media
        media.connect("unprepared", self.unprepared)
        source = media.get_element().get_by_name("source")
        source.set_property("caps", Gst.Caps.from_string(self.clip.caps))
        position = 0

        def feed(element: Any, _length: int) -> None:
            nonlocal position
            lap, index = divmod(position, len(self.clip.units))
            if lap and not self.loop:
                element.emit("end-of-stream")
                return
            unit = self.clip.units[index]
            buffer = Gst.Buffer.new_wrapped(unit.data)
            buffer.pts = unit.pts + lap * self.clip.duration
            buffer.dts = unit.dts + lap * self.clip.duration
            position += 1
            element.emit("push-buffer", buffer)

        source.connect("need-data", feed)

    def unprepared(self, _media: Any) -> None:
        self.media = None

    def await_end(self, patience: float = 2.0) -> None:
        """Wait (seconds) while the stream of those who left is being taken down; joining it would be a 503."""
        deadline = time.monotonic() + patience
        while (media := self.media) is not None and time.monotonic() < deadline:
            if media.get_status() != GstRtspServer.RTSPMediaStatus.UNPREPARING:
                return
            time.sleep(0.005)
        time.sleep(0.005)


def protect(server: Any, factories: list[Any], credentials: str, method: str) -> None:
    """Ask for `user:password` at every mount."""
    user, _, password = credentials.partition(":")
    auth, token = GstRtspServer.RTSPAuth.new(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if method == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        for permission in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role("viewer", permission, True)
        factory.set_permissions(permissions)


def main(settings: dict[str, Any]) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code."""
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(settings["port"]))
    factories = []
    for mount, entry in settings["mounts"].items():
        try:
            factory = ClipFactory(read_clip(Path(entry["clip"])), entry["loop"])
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        factories.append(factory)
        server.get_mount_points().add_factory(mount, factory)
    if settings["credentials"]:
        protect(server, factories, settings["credentials"], settings["auth"])

    def describe(_client: Any, _context: Any) -> Any:
        for factory in factories:
            factory.await_end()
        return GstRtsp.RTSPStatusCode.OK

    server.connect("client-connected", lambda _, client: client.connect("pre-describe-request", describe))
    if not server.attach(None):
        print(f"cannot listen on port {settings['port']}", file=sys.stderr)
        return 1
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    # sessions of clients that went away without a word; their streams end with them
    GLib.timeout_add_seconds(5, lambda: server.get_session_pool().cleanup() >= 0)
    print("ready", flush=True)
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
