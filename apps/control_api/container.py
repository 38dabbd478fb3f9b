"""Everything the API holds while it runs, built once and handed on."""

from __future__ import annotations

from dataclasses import dataclass

from apps.control_api.api.present import Present
from apps.control_api.api.security import PREFIX, Rate, Signer, Tickets, make_token
from apps.control_api.services.actions import Actions
from apps.control_api.services.audit import Audit
from apps.control_api.services.avatars import Avatars
from apps.control_api.services.dispatch import Dispatcher, make_dispatcher
from apps.control_api.services.events import EventHub
from apps.control_api.services.inference import Inference
from apps.control_api.services.live import Live
from apps.control_api.services.live_scene import LiveScene
from apps.control_api.services.loop_watch import LoopWatch
from apps.control_api.services.metrics import Metrics
from apps.control_api.services.models import Models
from apps.control_api.services.outputs import LiveOutputs
from apps.control_api.services.persons import Persons
from apps.control_api.services.recordings import Recordings
from apps.control_api.services.room import Room
from apps.control_api.services.storage_use import StorageUse
from apps.control_api.services.takes import Takes
from apps.control_api.services.tokens import Tokens
from apps.control_api.services.tools import Tools, build_tools
from apps.control_api.services.uploads import Uploads
from apps.control_api.services.voice_backends import VoiceBackends
from apps.control_api.services.voices import Voices
from apps.control_api.settings import Settings


@dataclass(frozen=True)
class Container:
    """The services, by name."""

    settings: Settings
    token: str
    tools: Tools
    audit: Audit
    signer: Signer
    tickets: Tickets
    previews: Rate
    metrics: Metrics
    present: Present
    loop_watch: LoopWatch
    hub: EventHub
    dispatcher: Dispatcher
    uploads: Uploads
    takes: Takes
    avatars: Avatars
    voices: Voices
    voice_backends: VoiceBackends
    models: Models
    inference: Inference
    actions: Actions
    live: Live
    scene: LiveScene
    outputs: LiveOutputs
    recordings: Recordings
    room: Room
    storage: StorageUse
    persons: Persons
    tokens: Tokens


def build(settings: Settings) -> Container:
    """Build every service; starts nothing and imports nothing heavy."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    tools = build_tools(settings)
    tools.files.prepare()
    token = make_token(settings)
    signer = Signer(token)
    present = Present(PREFIX, signer, tools)
    hub = EventHub(tools.database, present.event)
    uploads = Uploads(tools.files)
    voices = Voices(tools, uploads)
    avatars = Avatars(tools)
    dispatcher = make_dispatcher(settings, tools.jobs)
    recordings = Recordings(tools)
    actions = Actions(tools)
    live = Live(tools, avatars, voices, uploads, recordings=recordings, actions=actions, tell=hub.publish_threadsafe)

    loop_watch = LoopWatch(trace=settings.log_level == "DEBUG")

    def facts() -> dict[str, float]:
        return {
            "live_sessions": len(live.opened()),
            "event_listeners": hub.listeners,
            "workers": len(dispatcher.pids),
            "worker_restarts": dispatcher.restarts,
            **loop_watch.facts(),
        }

    return Container(
        settings=settings,
        token=token,
        tools=tools,
        audit=Audit(tools.database),
        signer=signer,
        tickets=Tickets(),
        previews=Rate(settings.previews_per_minute / 60, max(1.0, settings.previews_per_minute / 4)),
        metrics=Metrics(tools.database, facts),
        present=present,
        loop_watch=loop_watch,
        hub=hub,
        dispatcher=dispatcher,
        uploads=uploads,
        takes=Takes(tools, uploads),
        avatars=avatars,
        voices=voices,
        voice_backends=VoiceBackends(tools),
        models=Models(tools, uploads),
        inference=Inference(tools, avatars, voices, uploads),
        actions=actions,
        live=live,
        scene=LiveScene(live, avatars, voices, uploads, actions),
        outputs=LiveOutputs(tools, live),
        recordings=recordings,
        room=Room(tools),
        storage=StorageUse(tools, uploads, recordings),
        persons=Persons(tools),
        tokens=Tokens(tools.database),
    )
