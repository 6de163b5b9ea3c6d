"""The two sides of a comparison: benches/worker and programs/reference_worker.py."""

import os

from measuring.environments import MODELS, ROOT, announce, model_file
from measuring.processes import Worker
from measuring.rounds import interleaved

# Photos per part, as in `demo`.
PART_PHOTOS = 128


class Comparison:
    """The programs of both sides, the models, the photos and a temporary folder."""

    def __init__(self, rounds, built, reference, photos, folder):
        self.rounds, self.reference, self.photos, self.folder = rounds, reference, photos, folder
        self.worker, self.program = built["worker"], built["fruitvec"]
        self.models = {model: file for model in MODELS if (file := model_file(model))}
        for model in MODELS:
            if model not in self.models:
                announce(f"{model} is left out, because its file is missing")
        # Our programs look here for the model that they do not bundle.
        if keras := self.models.get(MODELS[1]):
            os.environ["FRUITVEC_MODELS_DIR"] = str(keras.parent)

    def commands(self, mode, model, *arguments):
        """Returns the commands of both sides for a mode."""
        card = ROOT / f"models/{model}.toml"
        ours = [self.worker, mode, model, *arguments]
        theirs = [*self.reference, mode, card, self.models[model], *arguments]
        return ours, theirs

    def start_workers(self, stack, mode, model, *arguments):
        """Starts the workers of both sides, with one thread each."""
        return [stack.enter_context(Worker(command, 1)) for command in self.commands(mode, model, *arguments)]

    def measure_stage(self, workers, stage, count, *, items=None, their_stage=None):
        """Measures a stage on both sides. The figures are per item, of which there are `count` by default."""
        ours, theirs = workers
        figures = interleaved(
            self.rounds,
            lambda: ours.ask(f"{stage} {count}"),
            lambda: theirs.ask(f"{their_stage or stage} {count}"),
        )
        for figure in figures:
            figure.divide(items or count)
        return figures


def is_bundled(model):
    """Returns whether a model is the small bundled one, of which more photos fit into a round."""
    return model == MODELS[0]


def assert_same_result(figures, tolerance):
    """Asserts that both sides computed the same value, which is the second of the extra values."""
    ours, theirs = (figure.extra[0][1] for figure in figures)
    assert abs(ours - theirs) <= tolerance * abs(theirs), f"our result is {ours}, theirs {theirs}"
