"""ST-LPIPS against its authors' own forward pass, LPIPS against AlexNet and VGG16 as published."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engine.errors import Code, PellucidError  # noqa: E402
from engine.metrics import perceptual  # noqa: E402
from engine.metrics.perceptual import Perceptual, load_perceptual, load_st_lpips  # noqa: E402
from engine.metrics.scored import Scored  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def st_lpips() -> Perceptual:
    pytest.importorskip("stlpips_pytorch")
    return load_st_lpips()


def _picture(seed: int, height: int = 96, width: int = 80) -> Scored:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    return Scored(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))


def _tensor(picture: Scored) -> Any:
    return torch.from_numpy(picture.pixels.transpose(2, 0, 1).copy()).float()[None] / 127.5 - 1.0


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
@pytest.mark.parametrize("size", [(96, 80), (64, 72)])
def test_st_lpips_equals_its_authors_own_forward(
    trunk: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("stlpips_pytorch")
    # The package imports a console, a printer of summaries and a model zoo that it does not need to compute.
    for name, attribute in (("IPython", "embed"), ("torchsummary", "summary"), ("torchvision", "models")):
        module = types.ModuleType(name)
        setattr(module, attribute, lambda *_: None)
        monkeypatch.setitem(sys.modules, name, module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        authors = importlib.import_module("stlpips_pytorch.stlpips")
        theirs = authors.LPIPS(net=trunk, variant="shift_tolerant", verbose=False)
    ours = load_perceptual(Path(package.__path__[0]) / f"weights/vST0.0/{trunk}_shift_tolerant.pth")
    assert ours.name == f"ST-LPIPS ({trunk})"
    one, other = _picture(1, *size), _picture(2, *size)
    with torch.inference_mode():
        expected = float(theirs(_tensor(one), _tensor(other)))
    assert ours.distance(one, other) == pytest.approx(expected, rel=1e-4)


def test_equal_pictures_are_at_distance_zero(st_lpips: Perceptual) -> None:
    assert st_lpips.name == "ST-LPIPS (alex)"
    assert st_lpips.distance(_picture(3), _picture(3)) == 0.0


def test_more_noise_is_further_away(st_lpips: Perceptual) -> None:
    truth = _picture(4)
    noise = np.random.default_rng(5).normal(0, 1, truth.pixels.shape)
    noisy = [Scored(np.clip(truth.pixels + sigma * noise, 0, 255).astype(np.uint8)) for sigma in (5, 20, 60)]
    distances = [st_lpips.distance(picture, truth) for picture in noisy]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_several_results_of_one_picture_are_seen_beside_it_once(
    st_lpips: Perceptual, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, results = _picture(1), [_picture(2), _picture(3), Scored(_picture(4).pixels[..., :1])]
    alone = [st_lpips.distance(result, truth) for result in results]
    seen = 0
    to_tensor = perceptual._to_tensor

    def count(pixels: Any) -> Any:
        nonlocal seen
        seen += 1
        return to_tensor(pixels)

    monkeypatch.setattr(perceptual, "_to_tensor", count)
    assert st_lpips.distance_of_each(results, truth) == alone
    assert seen == 4


def test_a_grey_picture_is_taken_as_equal_channels(st_lpips: Perceptual) -> None:
    grey, truth = Scored(_picture(6).pixels[:, :, :1]), _picture(7)
    as_colour = Scored(np.repeat(grey.pixels, 3, axis=2))
    assert st_lpips.distance(grey, truth) == pytest.approx(st_lpips.distance(as_colour, truth), rel=1e-6)
    assert st_lpips.distance(grey, grey) == 0.0


def _lpips_state(trunk: str) -> tuple[Any, dict[str, Any]]:
    """The convolutional part of AlexNet or VGG16 with random weights, and the same as an LPIPS file names them."""
    torch.manual_seed(11)
    layers: list[Any] = []
    if trunk == "alex":
        layers += [torch.nn.Conv2d(3, 64, 11, 4, 2), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2)]
        layers += [torch.nn.Conv2d(64, 192, 5, 1, 2), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2)]
        for channels, following in ((192, 384), (384, 256), (256, 256)):
            layers += [torch.nn.Conv2d(channels, following, 3, 1, 1), torch.nn.ReLU()]
    else:
        channels = 3
        for following in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
            if following:
                layers += [torch.nn.Conv2d(channels, following, 3, 1, 1), torch.nn.ReLU()]
                channels = following
            else:
                layers.append(torch.nn.MaxPool2d(2, 2))
    features = torch.nn.Sequential(*layers)
    ends = (2, 5, 8, 10, 12) if trunk == "alex" else (4, 9, 16, 23, 30)
    state, start = {}, 0
    for stage, end in enumerate(ends):
        for layer in range(start, end):
            for key, value in features[layer].state_dict().items():
                state[f"net.slice{stage + 1}.{layer}.{key}"] = value.clone()
        channels = [m.out_channels for m in features[start:end] if isinstance(m, torch.nn.Conv2d)][-1]
        state[f"lin{stage}.model.1.weight"] = torch.rand(1, channels, 1, 1)
        start = end
    return features, state


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_lpips_from_a_users_file_equals_the_published_networks(trunk: str, suffix: str, tmp_path: Path) -> None:
    features, state = _lpips_state(trunk)
    file = tmp_path / f"lpips{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        from safetensors.torch import save_file

        save_file(state, file)
    ours = load_perceptual(file)
    assert ours.name == f"LPIPS ({trunk})"
    one, other = _picture(8), _picture(9)
    mean, deviation = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    ends = (1, 4, 7, 9, 11) if trunk == "alex" else (3, 8, 15, 22, 29)
    x = torch.cat([_tensor(one), _tensor(other)])
    x = (x - mean[:, None, None]) / deviation[:, None, None]
    expected, stage = 0.0, 0
    with torch.inference_mode():
        for index, layer in enumerate(features):
            x = layer(x)
            if index in ends:
                unit = torch.nn.functional.normalize(x, dim=1)
                weights = state[f"lin{stage}.model.1.weight"][0]
                expected += float(((unit[0] - unit[1]) ** 2 * weights).sum(0).mean())
                stage += 1
    assert stage == 5
    assert ours.distance(one, other) == pytest.approx(expected, rel=1e-4)


def test_without_the_package_there_is_a_sentence_and_no_other_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda _: None)
    with pytest.raises(PellucidError, match=r"stlpips-pytorch, which is not installed\. Install it"):
        load_st_lpips()


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        ("lin3.model.1.weight", "linear weights lin3.model.1.weight are missing"),
        ("net.slice2.3.bias", "net.slice2.3.bias is missing"),
        ("net.slice5.10.weight", "stage 5 of its network is missing"),
    ],
)
def test_a_file_with_a_part_missing_names_the_part(removed: str, sentence: str, tmp_path: Path) -> None:
    state = {key: value for key, value in _lpips_state("alex")[1].items() if key != removed}
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(PellucidError, match=sentence):
        load_perceptual(tmp_path / "part.pth")


def test_a_weights_file_that_would_run_code_does_not(tmp_path: Path) -> None:
    import pickle

    proof = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(proof), "w"))

    for name, content in (("a.pth", pickle.dumps(Payload())), ("b.pth", b"\x80\x02garbage"), ("c.safetensors", b"{}")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PellucidError) as caught:
            load_perceptual(tmp_path / name)
        assert caught.value.code is Code.MODEL_CORRUPT
        assert name in caught.value.message
    assert not proof.exists()


def test_a_missing_file_and_a_tiny_picture_are_sentences(st_lpips: Perceptual, tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match=r"no weights file .*none\.pth"):
        load_perceptual(tmp_path / "none.pth")
    tiny = Scored(np.zeros((31, 64, 3), np.uint8))
    with pytest.raises(PellucidError, match="at least 32 x 32"):
        st_lpips.distance(tiny, tiny)
