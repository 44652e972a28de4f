"""Our detectors beside anomalib's on the same prepared slices: seconds to fit and to score, peak memory, AUROC.

    python -m venv /tmp/peers && /tmp/peers/bin/python -m pip install anomalib
    python benchmarks/peers.py [--store STORE] [--peers /tmp/peers/bin/python] [--only NAME ...] [--json FILE]

anomalib lives in an environment of its own (its torch may be another); where there is none, that is said and ours are
measured alone.  STORE: prepared slices; without it the demo's pictures are prepared where they are installed, else
made-up heads.  Nothing is downloaded.  --fit healthy training slices are learned from, --score slices of the test
split are scored, half of them abnormal, all shown at --side pixels.  Each contender fits and scores in a process of
its own, one after the other, in another order each round; processor seconds stand beside the wall's.

The same on both sides: images, side, the backbone of PatchCore and PaDiM (EfficientNet-Lite0, its ImageNet weights,
put into timm's network name by name in their order), the size of PatchCore's memory, the steps and batch of DRAEM and
reverse distillation.  Not the same: reverse distillation, whose decoder anomalib has for residual networks alone; their
weights cannot be had here without a download, so its ResNet-18 is random and its AUROC means nothing.  DRAEM gets
anomalib's random textures, since its own would be downloaded.  --steps is too short for either to learn: of those two
the seconds count, not the AUROC.  anomalib's networks are called directly, as its Lightning modules call them, without
its Engine: what that costs beside is not in its seconds.  Peak memory holds the interpreter, torch and the images.

"anomae 25 %" is `anomae` with one head, and a quarter of the recipe's samples and steps (--shares): how soon it is as
good as each of the others is said at the end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

OURS = ("patchcore", "anomae", "rd4ad", "draem")
PEERS = ("patchcore", "padim", "rd4ad", "draem")
MEMORY_SHARE = 0.1  # of all patches, anomalib's coreset_sampling_ratio
BATCH, DRAEM_BATCH = 16, 2
CLASHES = "operator torchvision::nms does not exist"  # its published build beside a torch built for CPUs alone
Scorer = Callable[[np.ndarray], np.ndarray]


# -- what is measured, in a process of its own ------------------------------------------------------------------------


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Fit and score one contender; order: what `measured` wrote.  Seconds, peak memory in MiB, and the scores."""
    with np.load(order["images"], allow_pickle=False) as content:
        fit, test = content["fit"], content["test"]
    makers = {"anomae": our_fit, "anomalib": anomalibs_fit}
    with tempfile.TemporaryDirectory() as folder:
        prepared = makers[order["side_of"]](order, fit.shape, Path(folder))
        began, spent = time.monotonic(), time.process_time()
        scorer = prepared(fit)
        told: dict[str, Any] = {"fit_wall_s": time.monotonic() - began, "fit_s": time.process_time() - spent}
        scorer(test[:BATCH])  # warms up
        began, spent = time.monotonic(), time.process_time()
        scores = scorer(test)
        told |= {"score_wall_s": time.monotonic() - began, "score_s": time.process_time() - spent}
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**told, "scores": [float(score) for score in scores], "slices": len(test)}


def our_fit(order: dict[str, Any], shape: tuple[int, ...], folder: Path) -> Callable[[np.ndarray], Scorer]:
    """`anomae fit` as a library: recipe `demo` for anomae, the same sizes as the peers for the others."""
    from anomae.detectors.method import Situation
    from anomae.detectors.registry import DETECTORS
    from anomae.recipes.overrides import overridden
    from anomae.slices.store import Slices
    from anomae.training.allocator import keep_freed_memory

    keep_freed_memory()  # as the command line does
    name, side, steps = order["name"], order["side"], order["steps"]
    patches = shape[0] * (side // 8) ** 2
    trained = {"training.steps": steps, "training.epochs": None}
    chosen: dict[str, dict[str, Any]] = {
        "patchcore": {
            "teacher.input_size": side,
            "memory": int(MEMORY_SHARE * patches),
            "candidates": patches,
            "score": "max",
        },
        "anomae": {"sizes": str(side)},
        "rd4ad": {"teacher.input_size": side, **trained, "training.batch": BATCH},
        "draem": {**trained, "training.batch": DRAEM_BATCH},
    }
    method = DETECTORS[name]
    situation = Situation("demo", "paper", (shape[2], shape[3]), 1, True, None)
    settings = method.settings(situation) if name == "anomae" else method.detector.settings_type()
    if (share := order["share"]) < 1:  # one head, whose pool and steps are cut alike
        usual: Any = settings
        chosen["anomae"] |= {
            "heads": 1,
            "pool": round(share * usual.pool),
            "head.training.steps": max(1, round(share * usual.head.training.steps)),
        }
    if order["tiny"]:
        chosen["anomae"] |= {"pool": 64, "head.training.steps": steps, "heads": 1}
    settings = overridden(settings, {**chosen[name], "device.accelerator": "cpu"})

    def fit(images: np.ndarray) -> Scorer:
        fitted = method.detector(settings).fit(Slices(images), seed=0, folder=folder)
        return lambda test: np.asarray(fitted.inspect(test.astype(np.float32)).scores)

    return fit


def anomalibs_fit(order: dict[str, Any], shape: tuple[int, ...], folder: Path) -> Callable[[np.ndarray], Scorer]:
    """The network of one of anomalib's models, and the loop that its Lightning module has for it."""
    import torch

    if order["define_nms"]:  # torchvision registers shape rules for these on import; no model here calls them
        operators = torch.library.Library("torchvision", "DEF")
        operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.manual_seed(0)
    side, name = order["side"], order["name"]
    network, step = _anomalibs(name, order, side)

    def shown(images: np.ndarray) -> Any:
        """(B, 3, side, side): for a pre-trained network its own scale, for DRAEM 0..1."""
        grey = torch.from_numpy(images.astype(np.float32)).clamp(0, 1)
        if grey.shape[-1] != side:
            grey = torch.nn.functional.interpolate(grey, (side, side), mode="bilinear", antialias=True)
        mean, std = order["normalisation"]
        return (grey if name == "draem" else (grey * 255 - mean) / std).expand(-1, 3, -1, -1).contiguous()

    def fit(images: np.ndarray) -> Scorer:
        step(shown, images)
        network.eval()

        def scorer(test: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                blocks = [network(shown(test[at : at + BATCH])).pred_score for at in range(0, len(test), BATCH)]
            return torch.cat([block.flatten() for block in blocks]).numpy()

        return scorer

    return fit


def _anomalibs(name: str, order: dict[str, Any], side: int) -> tuple[Any, Callable[[Any, np.ndarray], None]]:
    """The network, and what fits it: takes `shown` and all images."""
    import torch

    def collected(network: Any) -> Callable[[Any, np.ndarray], None]:
        def step(shown: Any, images: np.ndarray) -> None:
            network.train()
            with torch.no_grad():
                for at in range(0, len(images), BATCH):
                    network(shown(images[at : at + BATCH]))  # in training it keeps what it is shown
            if name == "patchcore":
                network.subsample_embedding(MEMORY_SHARE)
            else:
                network.fit()

        return step

    def trained(network: Any, parameters: Any, batch: int, loss_of: Callable[[Any], Any], **adam: Any) -> Any:
        def step(shown: Any, images: np.ndarray) -> None:
            network.train()
            optimizer, drawing = torch.optim.Adam(parameters, **adam), np.random.default_rng(0)
            for _ in range(order["steps"]):
                rows = drawing.choice(len(images), batch, replace=len(images) < batch)
                optimizer.zero_grad()
                loss_of(shown(images[rows])).backward()
                optimizer.step()

        return step

    lite = "tf_efficientnet_lite0"
    if name == "patchcore":
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel

        memory = PatchcoreModel(["blocks.2", "blocks.4"], lite, pre_trained=False)
        _put_weights(memory.feature_extractor.feature_extractor, order["weights"])
        return memory, collected(memory)
    if name == "padim":
        from anomalib.models.image.padim.torch_model import PadimModel

        gaussian = PadimModel(lite, ["blocks.1", "blocks.2", "blocks.4"], pre_trained=False, n_features=100)
        _put_weights(gaussian.feature_extractor.feature_extractor, order["weights"])
        return gaussian, collected(gaussian)
    if name == "rd4ad":
        from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
        from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
        from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel

        levels, loss = ["layer1", "layer2", "layer3"], ReverseDistillationLoss()
        added = AnomalyMapGenerationMode.ADD
        pair = ReverseDistillationModel("resnet18", (side, side), levels, added, pre_trained=False)
        learned = [*pair.decoder.parameters(), *pair.bottleneck.parameters()]
        return pair, trained(pair, learned, BATCH, lambda x: loss(*pair(x)), lr=0.005, betas=(0.5, 0.99))
    from anomalib.data.utils.generators import PerlinAnomalyGenerator
    from anomalib.models.image.draem.loss import DraemLoss
    from anomalib.models.image.draem.torch_model import DraemModel

    draem, draem_loss = DraemModel(), DraemLoss()
    augmenter = PerlinAnomalyGenerator(anomaly_source_path=None, blend_factor=(0.1, 1.0))

    def draems_loss(x: Any) -> Any:
        augmented, mask = augmenter(x)
        rebuilt, prediction = draem(augmented)
        return draem_loss(x, rebuilt, mask, prediction)

    return draem, trained(draem, list(draem.parameters()), DRAEM_BATCH, draems_loss, lr=1e-4)


def _put_weights(network: Any, weights: str) -> None:
    """The package's state into timm's network of the same layers: by their order, every shape compared."""
    import torch

    state = torch.load(weights, weights_only=True, map_location="cpu")
    own = network.state_dict()
    for (name, tensor), (given, value) in zip(own.items(), state.items(), strict=False):
        if tensor.shape != value.shape:
            raise SystemExit(f"{name} of timm is {tuple(tensor.shape)}, {given} of the package {tuple(value.shape)}")
        own[name] = value
    network.load_state_dict(own)


# -- the comparison ---------------------------------------------------------------------------------------------------


def slices_for(store: Path, fit: int, score: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Healthy training slices, test slices, and the labels of these: half and half as far as there are so many."""
    from anomae.slices.store import SliceStore

    opened = SliceStore(store)

    def spread(rows: np.ndarray, count: int) -> np.ndarray:
        return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]

    train = opened.select(spread(opened.rows("train", label=0), fit))
    rows = np.concatenate([spread(opened.rows("test", label=label), score // 2) for label in (0, 1)])
    labels = np.asarray(opened.index.label[rows], dtype=np.int8)
    return train.read(slice(None)), opened.select(rows).read(slice(None)), labels


def scaled(fit: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prepared intensities as 0..1, by percentiles of those that are learned from."""
    low, high = np.percentile(fit, (0.1, 99.9))
    return tuple(np.clip((each - low) / (high - low), 0, 1).astype(np.float32) for each in (fit, test))  # type: ignore[return-value]


def made_store(folder: Path) -> Path:
    """The demo's pictures prepared as the demo has them; made-up heads where they are not installed."""
    from anomae.stages.demo import PICTURES_PREPARED, UNHEALTHY, installed_pictures
    from anomae.stages.prepare import prepare

    if source := installed_pictures():
        options = {"near_duplicates": True, "table": str(UNHEALTHY)}
        prepare("folder", source, folder, settings=PICTURES_PREPARED, options=options)
    else:
        prepare("phantom", "heads:60", folder)
    return folder


def peers_environment(python: Path | None) -> dict[str, Any] | None:
    """What a peer's process must know of its environment; None, with the reason said, where there is none."""
    if python is None or not python.exists():
        print("anomalib is not measured: name the Python of an environment that has it with --peers.")
        return None
    told = subprocess.run([python, "-c", "import torchvision"], capture_output=True, text=True, check=False)
    define_nms = CLASHES in told.stderr
    asked = "from importlib.metadata import version; print(version('anomalib'), version('torch'), version('timm'))"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    if found.returncode or (told.returncode and not define_nms):
        reason = (found.stderr or told.stderr).strip().splitlines()[-1]
        print(f"anomalib is not measured: {python} cannot import it ({reason}).")
        return None
    anomalib, torch, timm = found.stdout.split()
    also = "; torchvision::nms is defined for it, which nothing here calls" if define_nms else ""
    print(f"anomalib {anomalib}, torch {torch}, timm {timm}{also}")
    return {"python": str(python), "define_nms": define_nms}


def measured(order: dict[str, Any], python: str) -> dict[str, Any] | None:
    """One contender in a process of its own.  A peer that fails is left out, with its last word; ours ends all."""
    words = [python, str(Path(__file__).resolve()), "--work", json.dumps(order)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(order["threads"]), "OMP_WAIT_POLICY": "PASSIVE"}
    environment |= {"HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        if order["side_of"] == "anomae":
            raise SystemExit(f"{order['side_of']} {order['name']}:\n{done.stdout}{done.stderr}")
        print(f"{order['side_of']} {order['name']} is left out: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def compare(arguments: argparse.Namespace) -> None:
    """Measure all contenders in turn and print a line for each."""
    from anomae.extras import installed_file
    from anomae.models.backbones.build import BACKBONES
    from anomae.statistics.metrics import auroc
    from machine import show_machine  # not in the environment of the peers, which has no anomae

    backbone = BACKBONES["efficientnet_lite0"]
    assert backbone.package is not None
    module, path, _ = backbone.package
    peers = peers_environment(arguments.peers)
    show_machine()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store = arguments.store or made_store(folder / "store")
        fit, test, labels = slices_for(store, arguments.fit, arguments.score)
        fit, test = scaled(fit, test)
        np.savez(folder / "images.npz", fit=fit, test=test)
        print(
            f"{len(fit)} slices to fit, {len(test)} to score ({int(labels.sum())} abnormal), "
            f"{fit.shape[2]}x{fit.shape[3]}, shown at {arguments.side}; {arguments.threads} thread(s)"
        )
        shared: dict[str, Any] = {
            "images": str(folder / "images.npz"),
            "weights": str(installed_file(module, path, extra="")),
            "normalisation": [backbone.normalisation[0][0], backbone.normalisation[1][0]],
            "side": arguments.side,
            "steps": arguments.steps,
            "tiny": arguments.tiny,
            "threads": arguments.threads,
        }
        contenders = [("anomae", name, sys.executable, 1.0) for name in OURS]
        contenders += [("anomae", "anomae", sys.executable, share) for share in arguments.shares]
        if peers:
            shared["define_nms"] = peers["define_nms"]
            contenders += [("anomalib", name, peers["python"], 1.0) for name in PEERS]
        wanted = [each for each in contenders if not arguments.only or each[1] in arguments.only]
        titles = {each: f"{each[0]} {each[1]}" + (f" {each[3]:.0%}" if each[3] < 1 else "") for each in wanted}
        all_told: dict[str, list[dict[str, Any]]] = {title: [] for title in titles.values()}
        for number in range(arguments.rounds):
            turn = wanted if number % 2 == 0 else wanted[::-1]
            for each in turn:
                who, name, python, share = each
                told = measured({**shared, "side_of": who, "name": name, "share": share}, python)
                if told is None:
                    continue
                told["auroc"] = auroc(labels, np.array(told.pop("scores")))
                all_told[titles[each]].append(told)
                spent = f"fitted in {told['fit_s']:.1f} processor seconds"
                print(f"  round {number + 1}, {titles[each]}: {spent}", flush=True)
                if arguments.json:
                    arguments.json.write_text(json.dumps(all_told, indent=1), encoding="utf-8")
    print(f"{'':<20}{'fit s':>9}{'wall':>9}{'slices/s':>10}{'wall':>8}{'peak MiB':>10}{'AUROC':>8}")
    middles = {
        name: {key: median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in all_told.items()
        if rounds
    }
    for name, middle in middles.items():
        speed, of_wall = middle["slices"] / middle["score_s"], middle["slices"] / middle["score_wall_s"]
        print(
            f"{name:<20}{middle['fit_s']:>9.1f}{middle['fit_wall_s']:>9.1f}{speed:>10.1f}{of_wall:>8.1f}"
            f"{middle['peak_mib']:>10.0f}{middle['auroc']:>8.3f}"
        )
    say_how_soon(middles)


def say_how_soon(middles: dict[str, dict[str, Any]]) -> None:
    """Of each peer: the shortest fit of `anomae` that is as good, beside the peer's own, in processor seconds."""
    ours = {name: middle for name, middle in middles.items() if name.startswith("anomae anomae")}
    for name, peer in middles.items():
        if not name.startswith("anomalib"):
            continue
        as_good = [(one["fit_s"], title) for title, one in ours.items() if one["auroc"] >= peer["auroc"]]
        if as_good:
            seconds, title = min(as_good)
            said = f"{title} is as good after {seconds:.1f} s, {peer['fit_s'] / seconds:.2f} times as fast"
        else:
            said = "none of anomae's fits is as good"
        print(f"{name}: {peer['auroc']:.3f} after {peer['fit_s']:.1f} s; {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--peers", type=Path, default=None, help="the Python of an environment with anomalib")
    parser.add_argument("--fit", type=int, default=200, help="healthy slices to learn from")
    parser.add_argument("--score", type=int, default=200, help="slices to score")
    parser.add_argument("--side", type=int, default=128, help="pixels at which all are shown, a multiple of 32")
    parser.add_argument("--steps", type=int, default=4, help="of DRAEM and reverse distillation")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=(), help="names: patchcore, padim, rd4ad, draem, anomae")
    parser.add_argument(
        "--shares", type=float, nargs="*", default=(0.05, 0.1, 0.25, 0.5), help="shorter fits of `anomae`, of the whole"
    )
    parser.add_argument("--tiny", action="store_true", help="a short training of `anomae`, to see that all of it runs")
    parser.add_argument("--json", type=Path, default=None, help="where all figures are to be written")
    parser.add_argument("--work", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        print(json.dumps(work(json.loads(arguments.work))))
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
