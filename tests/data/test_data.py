import contextlib
import gzip
import hashlib
import os
import pickle
import runpy
import shutil
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, FashionMNIST

from igbrepro import data
from igbrepro.data import cifar, fashion_mnist, registry
from igbrepro.data import files as data_files
from igbrepro.errors import DataMissing, ParameterError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any copy of the data, whose downloads fail; returns the folder of its cache."""
    for name in ("IGBREPRO_DATA", "XDG_DATA_DIRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IGBREPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(data_files, "SYSTEM_SHARES", (str(tmp_path / "share"),))
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    for reader in (CIFAR10, CIFAR100):
        monkeypatch.setattr(reader, "url", "http://127.0.0.1:9/cifar.tar.gz")
    return tmp_path / "cache"


@pytest.fixture
def small(bare, monkeypatch):
    """As `bare`, but "fashion-mnist" is the shipped subset: its four files do for the full ones."""
    monkeypatch.setattr(fashion_mnist, "SHA256", fashion_mnist.SUBSET_SHA256)
    return bare


def put_copy(folder, unpacked=False):
    folder.mkdir(parents=True)
    for name in fashion_mnist.IDX_FILES:
        source = fashion_mnist.SUBSET_FOLDER / f"{name}.gz"
        if unpacked:
            (folder / name).write_bytes(gzip.decompress(source.read_bytes()))
        else:
            shutil.copy(source, folder)
    return folder


# Reading and looking up


def test_the_shipped_subset_is_balanced_and_labelled(bare):
    dataset = data.load("fashion-mnist-subset")
    assert dataset.train_images.shape == (10_000, 1, 28, 28) and dataset.train_images.dtype == np.uint8
    assert np.bincount(dataset.train_labels).tolist() == [1000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [200] * 10
    assert dataset.classes[9] == "Ankle boot" and not dataset.provenance["fallback"]


def test_the_shipped_subset_is_small_and_its_checksums_are_those_of_the_code():
    files = list(fashion_mnist.SUBSET_FOLDER.iterdir())
    assert {"README.md", "LICENSE.txt", "SHA256SUMS.txt"} < {file.name for file in files}
    assert sum(file.stat().st_size for file in files) < 6e6
    listed = (fashion_mnist.SUBSET_FOLDER / "SHA256SUMS.txt").read_text().split()
    assert listed[::2] == list(fashion_mnist.SUBSET_SHA256) and listed[1::2] == list(fashion_mnist.IDX_FILES)


def full_copy():
    return next((folder for place, folder in fashion_mnist._folders() if place == "system"), None)


@pytest.mark.skipif(full_copy() is None, reason="needs the system's copy of Fashion-MNIST (dataset-fashion-mnist)")
def test_full_fashion_mnist_has_its_published_statistics(monkeypatch):
    monkeypatch.delenv("IGBREPRO_DATA", raising=False)
    monkeypatch.setenv("IGBREPRO_CACHE", "nowhere")
    dataset = data.load("fashion-mnist")
    mean, deviation = dataset.statistics
    assert (mean[0] / 255, deviation[0] / 255) == pytest.approx((0.2860, 0.3530), abs=5e-5)
    assert np.bincount(dataset.train_labels).tolist() == [6000] * 10
    assert dataset.provenance["source"] == "system copy"


@pytest.mark.skipif(full_copy() is None, reason="needs the system's copy of Fashion-MNIST (dataset-fashion-mnist)")
def test_the_subset_is_made_again_from_the_full_files(tmp_path):
    script = Path(__file__).parents[2] / "tools" / "make_fashion_subset.py"
    runpy.run_path(str(script))["main"](full_copy(), tmp_path)
    for name in fashion_mnist.IDX_FILES:
        old, new = (gzip.decompress((f / f"{name}.gz").read_bytes()) for f in (fashion_mnist.SUBSET_FOLDER, tmp_path))
        assert old == new
    assert (tmp_path / "SHA256SUMS.txt").read_text() == (fashion_mnist.SUBSET_FOLDER / "SHA256SUMS.txt").read_text()


def test_places_in_order(small, monkeypatch, tmp_path):
    places = {"system": tmp_path / "share" / "datasets", "cache": small, "IGBREPRO_DATA": tmp_path / "own"}
    monkeypatch.setenv("IGBREPRO_DATA", str(tmp_path / "own"))
    sums = set()
    for place, root in places.items():  # each one goes before those put there earlier
        put_copy(root / "fashion-mnist")
        dataset = data.load("fashion-mnist")
        assert dataset.provenance["source"] == f"{place} copy"
        sums.add(dataset.sha256)
    assert len(sums) == 1


def test_torchvisions_own_unpacked_layout_is_the_same_data(small):
    put_copy(small / "FashionMNIST" / "raw", unpacked=True)
    assert data.load("fashion-mnist").sha256 == data.load("fashion-mnist-subset").sha256


# Planted errors


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ParameterError, match=r"'fashion-mnits'.*Did you mean 'fashion-mnist'"):
        data.load("fashion-mnits")
    for name in ("imagefolder:", "imagefolder", "cifar10:small"):
        with pytest.raises(ParameterError, match="imagefolder:PATH"):
            data.load(name)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_pixel(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[5000] ^= 1
    path.write_bytes(gzip.compress(content, 1))


@pytest.mark.parametrize("damage", [cut_short, flip_a_pixel])
@pytest.mark.parametrize("fallback", [False, True])
def test_a_damaged_file_is_named_with_the_command_that_fetches_it_and_never_falls_back(small, damage, fallback):
    path = put_copy(small / "fashion-mnist") / f"{TRAIN_IMAGES}.gz"
    damage(path)
    with pytest.raises(DataMissing, match="damaged") as raised:
        data.load("fashion-mnist", fallback=fallback)
    assert str(path) in str(raised.value) and "igbrepro data fetch fashion-mnist" in str(raised.value)


def test_a_missing_file_of_four_is_an_error_too(small):
    (put_copy(small / "fashion-mnist") / f"{TEST_LABELS}.gz").unlink()
    with pytest.raises(DataMissing, match=f"{TEST_LABELS}.*missing.*igbrepro data fetch"):
        data.load("fashion-mnist", fallback=True)


def test_damage_to_the_shipped_subset_is_found(bare, monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "SUBSET_FOLDER", put_copy(tmp_path / "subset"))
    flip_a_pixel(tmp_path / "subset" / f"{TRAIN_IMAGES}.gz")
    with pytest.raises(DataMissing, match="reinstall igbrepro"):
        data.load("fashion-mnist-subset")


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "cifar100"])
def test_without_data_and_net_the_error_says_what_was_tried(bare, name):
    with pytest.raises(DataMissing, match=f"(?s)no copy.*http://127.0.0.1:9.*igbrepro data fetch {name}"):
        data.load(name)


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10", "cifar100"])
def test_without_data_and_net_the_shipped_subset_serves_and_says_so(bare, name):
    with pytest.warns(UserWarning, match="NOT THE DATA ASKED FOR"):
        dataset = data.load(name, fallback=True)
    assert dataset.provenance["fallback"] and dataset.provenance["name"] == "fashion-mnist-subset"
    assert dataset.provenance["n_train"] == 10_000


def test_a_cache_that_cannot_be_made_is_a_clear_error(bare, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IGBREPRO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataMissing, match="IGBREPRO_CACHE"):
        data.load("fashion-mnist")


# Fetching, from a mirror on this machine


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path):
    """Serves the folder tmp_path; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(small, served, monkeypatch, tmp_path):
    """A folder with the files of the "full" data, which torchvision is told to be its second mirror."""
    folder = put_copy(tmp_path / "mirror")
    names = [f"{name}.gz" for name in fashion_mnist.IDX_FILES]
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/", f"{served}/mirror/"])
    monkeypatch.setattr(FashionMNIST, "resources", [(name, md5((folder / name).read_bytes())) for name in names])
    return folder


def md5(content):
    return hashlib.md5(content).hexdigest()


def test_loading_downloads_once(mirror, small):
    assert data.load("fashion-mnist").provenance["source"] == "download"
    shutil.rmtree(mirror)
    assert data.load("fashion-mnist").provenance["source"] == "cache copy"
    assert {file.name for file in (small / "fashion-mnist").iterdir()} == {f"{n}.gz" for n in fashion_mnist.IDX_FILES}


def test_within_remembering_a_dataset_is_loaded_once_and_stand_ins_too(bare):
    with data.remembering():
        with pytest.warns(UserWarning, match="THESE ARE NOT THE DATA"):
            first, second = (data.load(name, fallback=True) for name in ("fashion-mnist", "cifar10"))
        assert first.train_images is second.train_images is data.load("fashion-mnist-subset").train_images
        assert first.fallback and not data.load("fashion-mnist-subset").fallback
    assert data.load("fashion-mnist-subset").train_images is not first.train_images


@pytest.mark.parametrize("how", ["environment", "context"])
def test_nothing_is_downloaded_where_that_is_forbidden(mirror, small, monkeypatch, how):
    if how == "environment":
        monkeypatch.setenv("IGBREPRO_DOWNLOAD", "off")
    with data.without_download() if how == "context" else contextlib.nullcontext():
        with pytest.raises(
            DataMissing, match=r"nothing is downloaded here \(IGBREPRO_DOWNLOAD=off\).*igbrepro data fetch"
        ):
            data.load("fashion-mnist")
        with pytest.warns(UserWarning, match="THESE ARE NOT THE DATA"):
            assert data.load("fashion-mnist", fallback=True).name == "fashion-mnist-subset"
    assert os.environ.get("IGBREPRO_DOWNLOAD") == ("off" if how == "environment" else None)
    if how == "context":
        assert data.load("fashion-mnist").provenance["source"] == "download"


@pytest.mark.parametrize("where", ["cache", "IGBREPRO_DATA"])
def test_fetching_again_mends_a_damaged_copy(mirror, small, monkeypatch, tmp_path, where):
    if where == "IGBREPRO_DATA":
        monkeypatch.setenv("IGBREPRO_DATA", str(tmp_path / "own"))
    root = small if where == "cache" else tmp_path / "own"
    damaged = put_copy(root / "fashion-mnist", unpacked=True) / TRAIN_IMAGES
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(DataMissing, match="data fetch fashion-mnist"):
        data.load("fashion-mnist")
    assert data.fetch("fashion-mnist") == str(root / "fashion-mnist")
    assert data.load("fashion-mnist").provenance["source"] == f"{where} copy"


def test_a_bad_download_is_not_kept(mirror, small):
    cut_short(mirror / f"{TRAIN_IMAGES}.gz")
    with pytest.raises(DataMissing, match="download failed"):
        data.fetch("fashion-mnist")
    assert list((small / "fashion-mnist").iterdir()) == []


def test_only_known_datasets_are_fetched():
    with pytest.raises(ParameterError, match=r"'gaussian'.*only cifar10, cifar100 and fashion-mnist are"):
        data.fetch("gaussian")


def test_status_tells_good_from_damaged_and_absent(small, monkeypatch, tmp_path):
    put_copy(small / "fashion-mnist")
    monkeypatch.setenv("IGBREPRO_DATA", str(tmp_path / "own"))
    flip_a_pixel(put_copy(tmp_path / "own" / "fashion-mnist") / f"{TRAIN_IMAGES}.gz")
    table = data.status()
    assert table.columns.tolist() == ["dataset", "place", "state", "folder"]
    assert table[["dataset", "place"]].values.tolist() == [
        ["cifar10", "-"],
        ["cifar100", "-"],
        ["fashion-mnist", "IGBREPRO_DATA"],
        ["fashion-mnist", "cache"],
        ["fashion-mnist-subset", "shipped"],
    ]
    states = table["state"].tolist()
    assert f"{TRAIN_IMAGES}.gz" in states[2] and states[3:] == ["verified", "verified"]
    assert states[:2] == ["absent; igbrepro data fetch cifar10", "absent; igbrepro data fetch cifar100"]


# Datasets of one's own


@pytest.fixture
def registered(monkeypatch):
    """Whatever is registered in the test is forgotten after it."""
    monkeypatch.setattr(registry, "_sources", dict(registry._sources))


def own(n_train=12):
    return data.gaussian(n_train=n_train, n_test=8, features=3, classes=4)


def test_a_dataset_of_ones_own_is_loaded_fetched_and_listed_by_its_name(registered, tmp_path):
    data.register("mine", own, fetch=lambda: tmp_path, copies=lambda: [data.Copy("here", "present", tmp_path)])
    data.register("many", lambda setting: own(int(setting)), setting="N")
    assert data.load("mine").train_images.shape == (12, 3) and data.load("many:20").provenance["n_train"] == 20
    assert data.fetch("mine") == str(tmp_path)
    assert data.status().query("dataset == 'mine'")[["place", "folder"]].values.tolist() == [["here", str(tmp_path)]]
    with pytest.raises(ParameterError, match=r"known are .*mine, many:N\. Did you mean 'mine'"):
        data.load("minee")
    data.register("mine", lambda: own(16))  # a cell that is run again
    assert len(data.load("mine").train_labels) == 16


@pytest.mark.parametrize("name", ["", "my:data", None, "cifar10"])
def test_names_that_cannot_be_registered(registered, name):
    with pytest.raises(ParameterError, match=f"name={name!r}: (need a word without a colon|there is a dataset)"):
        data.register(name, own)


# CIFAR: original files, made here in small


@pytest.fixture(params=[CIFAR10, CIFAR100])
def original(request, bare, monkeypatch, tmp_path):
    """A folder with 3 training and 2 test pictures as CIFAR-10 or -100 has them, whose checksums torchvision is told.

    Gives torchvision's reader, the name of the dataset, the folder and what is in the files.
    """
    reader, fine = request.param, request.param is CIFAR100
    folder = tmp_path / "made" / reader.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = "fine_labels" if fine else "labels"
    train, test, meta = ("train", "test", "meta") if fine else ("data_batch_1", "test_batch", "batches.meta")
    names = "fine_label_names" if fine else "label_names"
    contents = {
        train: {"data": rng.integers(0, 256, (3, 3072), np.uint8), labels: [0, 9, 4]},
        test: {"data": rng.integers(0, 256, (2, 3072), np.uint8), labels: [1, 2]},
        meta: {names: [f"class {k}" for k in range(100 if fine else 10)]},
    }
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    sums = {name: md5((folder / name).read_bytes()) for name in contents}
    monkeypatch.setattr(reader, "train_list", [[train, sums[train]]])
    monkeypatch.setattr(reader, "test_list", [[test, sums[test]]])
    monkeypatch.setattr(reader, "meta", {"filename": meta, "key": names, "md5": sums[meta]})
    return reader, reader.__name__.lower(), folder, contents


def test_cifar_files(original, monkeypatch):
    _, name, folder, contents = original
    monkeypatch.setenv("IGBREPRO_DATA", str(folder.parent))
    dataset = data.load(name)
    train, test, meta = contents
    assert (dataset.train_images == contents[train]["data"].reshape(3, 3, 32, 32)).all()
    assert dataset.test_labels.tolist() == [1, 2] and dataset.classes[3] == "class 3" and not dataset.fallback
    assert len(dataset.classes) == len(next(iter(contents[meta].values())))
    (folder / test).write_bytes(b"junk")
    with pytest.raises(DataMissing, match=rf"{folder.name}.*igbrepro data fetch {name}"):
        data.load(name)


def test_the_folders_of_cifar_are_those_of_torchvision():
    assert {name: cifar._reader(name).base_folder for name in cifar.FOLDERS} == cifar.FOLDERS


def test_cifar_download(original, bare, served, monkeypatch, tmp_path):
    reader, name, folder, _ = original
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(reader, "url", f"{served}/{archive.name}")
    monkeypatch.setattr(reader, "filename", archive.name)
    monkeypatch.setattr(reader, "tgz_md5", md5(archive.read_bytes()))
    assert data.load(name).provenance["source"] == "download"
    assert data.load(name).provenance["source"] == "cache copy"
    assert data.status().query("dataset == @name")["folder"].tolist() == [str(bare / name)]


# Image folders


def put_pictures(folder, size=(4, 3), mode="RGB"):
    """Two classes, one picture each in train and test, all pixels of one value: 10, 20, 30, 40."""
    for value, place in zip((10, 20, 30, 40), ("train/cat", "train/dog", "test/cat", "test/dog"), strict=True):
        (folder / place).mkdir(parents=True)
        Image.new(mode, size, (value, 0, 255) if mode == "RGB" else value).save(folder / place / "1.png")
    return folder


def test_an_image_folder_in_colour(tmp_path):
    dataset = data.load(f"imagefolder:{put_pictures(tmp_path / 'pets')}")
    assert dataset.train_images.shape == (2, 3, 3, 4) and dataset.input_shape == (3, 3, 4)
    assert dataset.train_images[:, :, 0, 0].tolist() == [[10, 0, 255], [20, 0, 255]]
    assert dataset.test_images[:, 0, 0, 0].tolist() == [30, 40] and dataset.test_labels.tolist() == [0, 1]
    assert dataset.classes == ("cat", "dog")
    assert dataset.provenance["name"] == "imagefolder:pets" and str(tmp_path) not in str(dataset.provenance)


def test_an_image_folder_in_grey(tmp_path):
    dataset = data.load(f"imagefolder:{put_pictures(tmp_path / 'pets', mode='L')}")
    assert dataset.test_images.shape == (2, 1, 3, 4) and dataset.test_images[:, 0, 0, 0].tolist() == [30, 40]


def test_cifar10_may_be_an_image_folder(bare, monkeypatch, tmp_path):
    put_pictures(tmp_path / "own" / "cifar10")
    monkeypatch.setenv("IGBREPRO_DATA", str(tmp_path / "own"))
    assert data.load("cifar10").provenance["source"] == "IGBREPRO_DATA copy (image folder)"


def without_test(folder):
    shutil.rmtree(folder / "test")


def other_classes(folder):
    (folder / "test" / "dog").rename(folder / "test" / "wolf")


def other_size(folder):
    Image.new("RGB", (5, 3)).save(folder / "train" / "dog" / "1.png")


def other_test_size(folder):
    for name in ("cat", "dog"):
        Image.new("RGB", (5, 3)).save(folder / "test" / name / "1.png")


def broken_picture(folder):
    cut_to = folder / "train" / "dog" / "1.png"
    cut_to.write_bytes(cut_to.read_bytes()[:40])


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (without_test, "test: no image folder laid out as"),
        (other_classes, "wolf"),
        (other_size, "dog/1.png: .3, 5. pixels where the first has .3, 4."),
        (other_test_size, "they must be alike"),
        (broken_picture, "dog/1.png: the picture is damaged"),
    ],
)
def test_bad_image_folders_are_named(tmp_path, plant, words):
    plant(put_pictures(tmp_path / "pets"))
    with pytest.raises(DataMissing, match=words):
        data.load(f"imagefolder:{tmp_path / 'pets'}", fallback=True)


def test_an_image_folder_that_is_too_small_is_named_by_the_notebooks_own_parameter(tmp_path):
    dataset = data.load(f"imagefolder:{put_pictures(tmp_path / 'pets')}")
    with pytest.raises(ParameterError, match="n_inputs=4: class 0 has 1 inputs, 2 are wanted of it"):
        dataset.check(n_shown=("test", 2), n_inputs=("test", 4))


# What a dataset offers


def test_inputs_are_standardised_with_the_statistics_of_the_training_split(bare):
    dataset = data.load("fashion-mnist-subset")
    train, test = dataset.train_images.astype(np.float64), dataset.test_images.astype(np.float64)
    inputs = dataset.inputs("test")
    assert inputs.shape == (2000, 784) and inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, ((test - train.mean()) / train.std()).reshape(2000, -1), rtol=1e-5, atol=1e-6)
    assert dataset.inputs("train", flat=False).shape == (10_000, 1, 28, 28)


def test_each_colour_has_its_own_statistics(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, [[[[50]], [[100]], [[256]]]], (20, 3, 8, 8)).astype(np.uint8)
    labels = np.arange(20) % 2
    dataset = data.Dataset("made", pictures, labels, pictures[:4], labels[:4], ("a", "b"), "here")
    inputs = dataset.inputs("train", flat=False).astype(np.float64)
    np.testing.assert_allclose(inputs.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.std((0, 2, 3)), 1, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_channel_that_never_varies_becomes_zeros():
    pictures = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    pictures[:, 1] = 77
    labels = np.arange(20) % 2
    inputs = data.Dataset("made", pictures, labels, pictures, labels, ("a", "b"), "here").inputs("test", flat=False)
    assert (inputs[:, 1] == 0).all()
    np.testing.assert_allclose(inputs[:, [0, 2]].std((0, 2, 3)), 1, atol=1e-6)
    floats = np.full((20, 5), 0.1)
    assert (data.Dataset("made", floats, labels, floats, labels, ("a", "b"), "here").inputs("train") == 0).all()


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_refused(split, value):
    dataset = data.gaussian(n_train=10, n_test=10)
    broken = dataset.images(split).copy()
    broken[3, 2] = value
    with pytest.raises(ParameterError, match=rf"{split}_images: 1 of the \d+ numbers are nan or infinite; leave"):
        replace(dataset, **{f"{split}_images": broken})


def test_unit_scaling_leaves_pixels_between_0_and_1(bare):
    dataset = data.load("fashion-mnist-subset").scaled("unit")
    np.testing.assert_allclose(dataset.inputs("test"), dataset.test_images.reshape(2000, -1) / 255, rtol=1e-6)
    assert dataset.provenance["scaling"] == "unit"
    floats = data.gaussian(n_train=10, n_test=10).scaled("unit")
    assert (floats.inputs("train") == floats.train_images).all()
    with pytest.raises(ParameterError, match="scaling='byte'"):
        dataset.scaled("byte")


def test_parity_labels():
    dataset = data.gaussian(n_train=10, n_test=10)
    assert dataset.relabelling("parity").tolist() == [0, 1] * 5
    assert (dataset.labels("test", "parity") == dataset.test_labels % 2).all()
    assert dataset.labels("test", "parity").dtype == np.int64
    with pytest.raises(ParameterError, match="'odd'"):
        dataset.labels("test", "odd")
    with pytest.raises(ParameterError, match="'validation'"):
        dataset.inputs("validation")


def test_parity_of_an_odd_number_of_classes_is_uneven_and_says_so():
    with pytest.warns(UserWarning, match=r"the 3 classes of gaussian make labels of 2:1 classes"):
        assert data.gaussian(n_train=6, n_test=6, classes=3).relabelling("parity").tolist() == [0, 1, 0]


def test_labels_of_ones_own():
    dataset = data.gaussian(n_train=20, n_test=20, classes=4)
    for kind in ([0, 0, 1, 2], np.array([0, 0, 1, 2]), lambda k: np.maximum(k, 1) - 1):
        assert dataset.relabelling(kind).tolist() == [0, 0, 1, 2]
    labels = dataset.labels("test", lambda k: k >= 2)
    assert labels.dtype == np.int64 and (labels == (dataset.test_labels >= 2)).all()


@pytest.mark.parametrize("kind", [[0, 1], [0, 2, 2, 0], [0, 0, 0, 0], [-1, 0, 1, 1], [0.0, 1.0, 0.0, 1.0], None])
def test_labels_that_make_no_task_are_refused(kind):
    with pytest.raises(ParameterError, match=r"labels=.*one label for each of the 4 classes of gaussian"):
        data.gaussian(n_train=8, n_test=8, classes=4).relabelling(kind)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_an_image_is_the_same_input_in_the_whole_and_in_every_part(bare, scaling):
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    images = (rng.integers(0, 200, (60, 3, 4, 4)) + 25 * labels[:, None, None, None]).astype(
        np.uint8
    )  # class 2 is light
    whole = data.Dataset("made", images, labels, images[:30], labels[:30], tuple("abc"), "here").scaled(scaling)
    inputs = {image.tobytes(): x for image, x in zip(whole.train_images, whole.inputs("train"), strict=True)}
    parts = [
        whole.subset(n_train=3),
        whole.subset(n_train=6, n_test=6, seed=2).subset(n_train=3),
        whole.only([2, 1]),
        whole.only([0, 2]).subset(n_train=4),
        whole.scaled("unit").subset(n_train=5).scaled(scaling),
        replace(whole, train_images=images[:2], train_labels=labels[:2]),
    ]
    for part in parts:
        for split in ("train", "test"):
            for image, x in zip(part.images(split), part.inputs(split), strict=True):
                assert (x == inputs[image.tobytes()]).all()
        want = "all 60 training inputs as loaded" if scaling == "standard" else "the range of the numbers"
        assert part.provenance["scaled_by"] == want


def test_sizes_are_checked_under_the_callers_own_names():
    dataset = data.gaussian(n_train=20, n_test=8, features=2, classes=4)
    assert dataset.check(n_images=("test", 8), batch_size=("batch", 20), n_head=("train", 5)) is dataset
    for size, words in (
        ({"n_images": ("test", 9)}, "n_images=9: class 0 has 2 inputs, 3 are wanted of it"),
        ({"batch_size": ("batch", 21)}, "batch_size=21: gaussian has only 20 training inputs"),
        ({"n_head": ("train", 0)}, "n_head=0: need a whole number, 1 or more"),
        ({"n_eval": ("test", 2.5)}, r"n_eval=2\.5: need a whole number"),
    ):
        with pytest.raises(ParameterError, match=words):
            dataset.check(**size)


def test_a_subset_is_balanced_and_seeded(bare):
    dataset = data.load("fashion-mnist-subset")
    part = dataset.subset(n_train=103, n_test=20, seed=1)
    assert sorted(np.bincount(part.train_labels).tolist()) == [10] * 7 + [11] * 3
    assert np.bincount(part.test_labels).tolist() == [2] * 10
    assert part.sha256 == dataset.subset(n_train=103, n_test=20, seed=1).sha256
    assert part.sha256 != dataset.subset(n_train=103, n_test=20, seed=2).sha256
    assert part.provenance["n_train"] == 103 and dataset.subset(n_test=10).provenance["n_train"] == 10_000
    originals = {image.tobytes() for image in dataset.train_images[dataset.train_labels == 3]}
    assert {image.tobytes() for image in part.train_images[part.train_labels == 3]} <= originals
    others = dataset.subset(n_train=103, n_test=20, seed=2).train_images
    assert len(originals & {image.tobytes() for image in others} & {image.tobytes() for image in part.train_images}) < 3
    with pytest.raises(ParameterError, match=r"n_test=2010: .* has 200 inputs, 201 are wanted"):
        dataset.subset(n_test=2010)
    with pytest.raises(ParameterError, match="n_train=0"):
        dataset.subset(n_train=0)


def test_only_some_classes_in_the_order_given():
    images = np.arange(12, dtype=np.float32).reshape(12, 1, 1, 1)
    labels = np.array([2, 0, 1, 3, 2, 1])
    whole = data.Dataset("toy", images[:6], labels, images[6:], labels[::-1], tuple("abcd"), "here", fallback=True)
    part = whole.only([2, 0])
    assert part.classes == ("c", "a") and part.fallback and part.input_shape == (1, 1, 1)
    assert part.train_images.ravel().tolist() == [0, 1, 4] and part.train_labels.tolist() == [0, 1, 0]
    assert part.test_images.ravel().tolist() == [7, 10, 11] and part.test_labels.tolist() == [0, 1, 0]
    assert part.labels("train", "parity").dtype == np.int64 and part.sha256 != whole.sha256
    assert part.statistics[0] == pytest.approx(5 / 2)  # of the inputs of the whole
    assert whole.only(np.array([0, 1, 2, 3])).sha256 == whole.sha256 and len(whole.train_labels) == 6
    assert whole.only((3, 1)).train_labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize("classes", [[], [1], [1, 1], [0, 4], [-1, 0], ["0", "1"]])
def test_classes_that_are_not_there_are_refused(classes):
    whole = data.gaussian(n_train=40, n_test=40, features=2, classes=4)
    with pytest.raises(ParameterError, match=r"classes=\[.*\]: need two or more different ones below 4"):
        whole.only(classes)


def test_gaussian_inputs(bare):
    dataset = data.load("gaussian:n_train=4000,features=50,classes=2,distance=3,seed=7")
    x, labels = dataset.train_images, dataset.train_labels
    assert x.shape == (4000, 50) and np.bincount(labels).tolist() == [2000, 2000]
    centres = np.stack([x[labels == k].mean(0) for k in (0, 1)])
    assert np.linalg.norm(centres, axis=1) == pytest.approx(
        [3, 3], abs=0.1
    )  # error of a centre: sqrt(50 / 2000) = 0.16 across
    assert (x - centres[labels]).std() == pytest.approx(1, abs=0.02)
    assert dataset.sha256 != data.load("gaussian:n_train=4000,features=50,classes=2,distance=3,seed=8").sha256


@pytest.mark.parametrize(
    "name", ["gaussian:size=3", "gaussian:features=many", "gaussian:features=0", "gaussian:distance=nan"]
)
def test_bad_gaussian_settings_are_refused(name):
    with pytest.raises(ParameterError, match=name.partition(":")[2].partition("=")[0]):
        data.load(name)
