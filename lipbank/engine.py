"""The lipbank engine: mouth shapes from sound, pictures from the person's own footage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lipbank.bank import FILM, Bank
from lipbank.config import BUNDLE_FORMAT, RenderConfig, SearchConfig
from lipbank.face import CheekModel
from lipbank.mouth_space import MouthSpace
from lipbank.render import Drive, Renderer, crossfade
from lipbank.search import Beam, Choice
from lipbank.shape import LOOKAHEAD_MS, ShapeModel
from lipsync.bundle import load_tensors, read_manifest
from lipsync.engine import DriveStream, Engine, EngineCapabilities, Patch, TrainOptions
from lipsync.errors import BundleError, StudioError
from lipsync.frame_cycle import BaseClip
from lipsync.progress import Progress

if TYPE_CHECKING:
    from lipsync.dataset.take import PreparedTake

F32 = NDArray[np.float32]
_FRAME_MS = 40


class LipbankEngine(Engine):
    """Draws a person's own mouths. Weights, bank and base clip are shared by every stream and every ``rebase``."""

    name: ClassVar[str] = "lipbank"
    capabilities: ClassVar[EngineCapabilities] = EngineCapabilities(
        needs_weights=False,
        trains=True,
        instant_preview=True,
        lookahead_ms=LOOKAHEAD_MS + SearchConfig().delay * _FRAME_MS,
        default_batch=1,
        several_takes=True,
    )

    def __init__(
        self,
        base: BaseClip,
        space: MouthSpace,
        cheeks: CheekModel,
        shape: ShapeModel,
        bank: Bank,
        *,
        search: SearchConfig | None = None,
        render: RenderConfig | None = None,
    ) -> None:
        self._base, self._space, self._cheeks, self._shape, self._bank = base, space, cheeks, shape, bank
        self._search, self._render = search or SearchConfig(), render or RenderConfig()
        self._renderer: Renderer | None = Renderer(base, bank, space, cheeks, self._render)
        self._rest = self._resting()

    @classmethod
    def train(cls, take: PreparedTake, out: Path, options: TrainOptions, progress: Progress) -> Path:
        """See ``Engine.train``. ``options.extra`` may hold name, version, takes and consent_id for the manifest."""
        from lipbank.training import train

        return train(take, out, options, progress)

    @classmethod
    def load(cls, bundle: Path, device: str = "auto") -> LipbankEngine:
        """See ``Engine.load``. Drawing runs on the processor whatever the device."""
        bundle = Path(bundle)
        manifest = read_manifest(bundle, verify=False)
        if manifest.engine != cls.name:
            raise BundleError(f"This bundle is of the engine {manifest.engine!r}, not {cls.name}.", "Choose another.")
        if manifest.extra.get("format") != BUNDLE_FORMAT:
            raise BundleError("This avatar was made by another version of lipbank.", "Train it again.")
        from lipsync.media.video import read_frames

        tensors = load_tensors(bundle)
        try:
            space = MouthSpace.from_tensors(part(tensors, "space"))
            shape = ShapeModel.from_tensors(part(tensors, "shape"))
            cheeks = CheekModel(tensors["cheeks"])
            search = SearchConfig(**manifest.extra.get("search", {}))
            render = RenderConfig(**manifest.extra.get("render", {}))
            film = read_frames(bundle / FILM, fmt="yuv420p")
            bank = Bank(film, part(tensors, "bank"), space, search)
            return cls(BaseClip.load(bundle), space, cheeks, shape, bank, search=search, render=render)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The avatar's parts do not fit each other: {error}", "Train it again.") from error

    @classmethod
    def networks(cls, bundle: Path) -> dict[str, tuple[Any, tuple[Any, ...]]]:
        """See ``Engine.networks``: the listeners, none for a preview."""
        from lipbank.export import listeners

        return dict(listeners(bundle))

    @property
    def base(self) -> BaseClip:  # noqa: D102
        return self._base

    @property
    def bank(self) -> Bank:
        """The person's mouths."""
        return self._bank

    @property
    def shape(self) -> ShapeModel:
        """The model from sound to mouth shape."""
        return self._shape

    @property
    def space(self) -> MouthSpace:
        """The space mouth shapes live in."""
        return self._space

    @property
    def cheeks(self) -> CheekModel:
        """Cheek and chin points from the mouth."""
        return self._cheeks

    def rebase(self, base: BaseClip) -> LipbankEngine:  # noqa: D102
        return LipbankEngine(
            base, self._space, self._cheeks, self._shape, self._bank, search=self._search, render=self._render
        )

    def open_stream(self) -> LipbankStream:  # noqa: D102
        return LipbankStream(self)

    @property
    def rest(self) -> Drive:  # noqa: D102
        return self._rest

    def infer(self, items: Sequence[tuple[int, Drive]]) -> list[Patch]:  # noqa: D102
        if self._renderer is None:
            raise StudioError("The engine is closed.")
        return [self._renderer.draw(index, drive) for index, drive in items]

    def close(self) -> None:  # noqa: D102
        self._renderer = None

    def new_beam(self) -> Beam:
        """A search of its own over the bank."""
        return Beam(self._bank.units, self._search)

    def drive(self, before: int | None, choice: Choice, coef: F32) -> Drive:
        """The drive for a choice of the search."""
        share = self._render.crossfade
        sources, weights = crossfade(before, choice.mouth, choice.after, self._bank.following, share)
        return Drive(sources, weights, coef, choice.near, choice.near_weights)

    def _resting(self) -> Drive:
        coef = np.asarray(self._shape.rest, np.float32)
        wanted = self._bank.shape.wanted(coef[None])[0]
        beam = self.new_beam()
        choice = [*beam.push(wanted), *beam.flush()][0]
        return Drive((choice.mouth,), (1.0,), coef, choice.near, choice.near_weights)


class LipbankStream(DriveStream):
    """One session's sound: shapes as they become certain, then mouths for them with the search's delay."""

    def __init__(self, engine: LipbankEngine) -> None:
        self._engine = engine
        self._shapes = engine.shape.open()
        self._beam = engine.new_beam()
        self._waiting: list[F32] = []
        self._before: int | None = None

    def push(self, pcm: NDArray[np.float32]) -> list[Drive]:  # noqa: D102
        return self._search(self._shapes.push(np.asarray(pcm, np.float32)))

    def flush(self) -> list[Drive]:  # noqa: D102
        out = self._search(self._shapes.flush())
        out += self._drives(self._beam.flush())
        self._forget()
        return out

    def reset(self) -> None:  # noqa: D102
        self._shapes.reset()
        self._beam.reset()
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._before = None

    def _search(self, shapes: F32) -> list[Drive]:
        out: list[Drive] = []
        if not len(shapes):
            return out
        for coef, wanted in zip(shapes, self._engine.bank.shape.wanted(shapes), strict=True):
            self._waiting.append(np.asarray(coef, np.float32))
            out += self._drives(self._beam.push(wanted))
        return out

    def _drives(self, choices: list[Choice]) -> list[Drive]:
        out = []
        for choice in choices:
            out.append(self._engine.drive(self._before, choice, self._waiting.pop(0)))
            self._before = choice.mouth
        return out


def part(tensors: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """The tensors under ``name.`` without that prefix."""
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
