"""Simulated worlds: refusal rates that are known exactly, and models that respond to any design.

Model m refuses a prompt (text i, template q, persona p, task t) if a latent number exceeds 0:

    mean[m, p, t, q] + a u_i + b v_im + c w_iqm + g s_ip + d e_iqpm,   a^2 + b^2 + c^2 + g^2 + d^2 = 1,

all of them standard normal, so that the refusal rate of a cell is exactly Phi(mean). a correlates all responses to a
text, b all responses of one model to it, c all responses of one model to one prompt with any persona, and g all
responses to a text with one persona. The same prompt always gets the same response, as under greedy decoding. Every
simulation draws new texts (a super-population).

Two options keep the rates known. Texts may be of several kinds with effects of different size (a scale mixture of
normals, which has heavy tails). Personas may meet the opposite of a text's effect (-u_i): they change the response to
most texts, and no rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from falserefusal.common.schemas import ALL, BASELINE, OUTCOME_LEVELS


@dataclass(frozen=True)
class World:
    """`mean` (M, P + 1, T, Q) of the latent number, with persona 0 the baseline; `shares`: a^2, b^2, c^2.

    text_persona: g^2. kinds: share of the texts, and scale of their effect, for each kind of text. opposite: positions
    of the personas (from 1) that meet the opposite of a text's effect.
    """

    models: list[str]
    personas: list[str]
    tasks: list[str]
    templates: list[str]
    mean: np.ndarray
    shares: tuple[float, float, float]
    text_persona: float = 0.0
    kinds: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    opposite: tuple[int, ...] = ()

    @property
    def rates(self) -> np.ndarray:
        """The true refusal rate of every cell, (M, P + 1, T, Q)."""
        total: np.ndarray = sum(share * ndtr(self.mean / sd) for share, _, sd in self._kinds())
        return total

    def both(self, mean: np.ndarray, other: np.ndarray, text: float, rest: float = 0.0) -> np.ndarray:
        """Probability that two responses to a text are refusals, given their means of the latent number.

        text : 1 if both meet the same effect of the text, -1 if opposite ones.
        rest : share of the variance that they have in common besides.
        """
        a = self.shares[0]
        return sum(
            share * both(mean / sd, other / sd, (text * a * scale**2 + rest) / sd**2)
            for share, scale, sd in self._kinds()
        )

    def _kinds(self) -> Iterator[tuple[float, float, float]]:
        """Share, scale and standard deviation of the latent number, of each kind of text."""
        for share, scale in self.kinds:
            yield share, scale, float(np.sqrt(1 + self.shares[0] * (scale**2 - 1)))


def make_world(
    seed: int | list[int],
    *,
    rates: Sequence[float],
    persona_sd: float | Sequence[float] = 0.0,
    common: float = 0.5,
    presence: float = 0.0,
    hot: Sequence[tuple[int, int, float]] = (),
    tasks: Sequence[float] = (-0.45, 0.1, 0.4),
    model_task_sd: float = 0.15,
    personas: int = 15,
    templates: int = 9,
    template_sd: float = 0.13,
    unforced: float = 0.0,
    shares: tuple[float, float, float] = (0.2, 0.2, 0.2),
    family: Sequence[int] = (),
    family_sd: Sequence[float] = (),
) -> World:
    """Make a world with the given overall refusal rate of each model.

    All effects are in units of the latent standard deviation.

    Parameters
    ----------
    seed : seed of the effects.
    rates : refusal rate of each model, mean over personas, tasks and templates.
    persona_sd : standard deviation of persona effects, for all models or each.
    common : share of the variance of persona effects that the models have in common.
    presence : added to every persona, not to the baseline.
    hot : (model, persona, effect) of single cells.
    tasks : effect of each task.
    model_task_sd : standard deviation of the interaction of model and task.
    personas, templates : numbers of each.
    template_sd : standard deviation of template effects.
    unforced : added to the first third of the templates.
    shares : a^2, b^2, c^2.
    family : number of each model's family, from 0.
    family_sd : standard deviation, by family, of the persona effects that the models of a family have in common.
    """
    rng = np.random.default_rng(seed)
    models = len(rates)
    effect = np.zeros((models, personas + 1))
    own, shared = rng.standard_normal((models, personas)), rng.standard_normal(personas)
    scale = np.broadcast_to(persona_sd, models)[:, None]
    effect[:, 1:] = presence + scale * (np.sqrt(common) * shared + np.sqrt(1 - common) * own)
    if len(family):
        of_family = np.asarray(family_sd)[:, None] * rng.standard_normal((len(family_sd), personas))
        effect[:, 1:] += of_family[np.asarray(family)]
    for model, persona, size in hot:
        effect[model, 1 + persona] += size
    task = np.asarray(tasks) + model_task_sd * rng.standard_normal((models, len(tasks)))
    template = template_sd * (rng.standard_normal(templates) + 0.7 * rng.standard_normal((models, templates)))
    template[:, : templates // 3] += unforced
    mean = effect[:, :, None, None] + task[:, None, :, None] + template[:, None, None, :]
    low, high = np.full(models, -12.0), np.full(models, 12.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = ndtr(mean[:, 1:] + middle[:, None, None, None]).mean((1, 2, 3)) > np.asarray(rates)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return World(
        [f"model-{k:02d}" for k in range(models)],
        [f"persona-{k:02d}" for k in range(personas)],
        [f"task-{k}" for k in range(len(tasks))],
        [f"p{k + 1}" for k in range(templates)],
        mean + middle[:, None, None, None],
        shares,
    )


def true_rates(world: World, formats: dict[str, str]) -> pd.DataFrame:
    """True rate of every cell: columns model, task, persona, template, format, rate."""
    names = [world.models, [BASELINE, *world.personas], world.tasks, world.templates]
    index = pd.MultiIndex.from_product(names, names=["model", "persona", "task", "template"])
    frame = pd.Series(world.rates.ravel(), index=index, name="rate").reset_index()
    return frame.assign(format=frame["template"].map(formats))


def both(mean: np.ndarray, other: np.ndarray, correlation: float) -> np.ndarray:
    """Probability that two latent numbers with these means, variance 1 and this correlation are both above 0."""
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    shift, scale, sign = np.sqrt(abs(correlation)) * node, np.sqrt(1 - abs(correlation)), np.sign(correlation)
    given = ndtr((np.asarray(mean)[..., None] + shift) / scale)
    given = given * ndtr((np.asarray(other)[..., None] + sign * shift) / scale)
    return given @ weight / weight.sum()


def within_prompt_correlation(world: World) -> float:
    """Correlation of two responses of a model to one prompt with two personas, variances pooled over all cells."""
    rate, joint = world.rates, world.both(world.mean, world.mean, 1, sum(world.shares[1:]))
    return float((joint - rate**2).sum() / (rate * (1 - rate)).sum())


def shares_for(world: World, correlation: float, split: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> World:
    """The same world with shares in proportion to `split` that have this within-prompt correlation."""
    low, high = 0.0, 0.9999
    for _ in range(40):
        middle = (low + high) / 2
        shares = tuple(middle * part / sum(split) for part in split)
        candidate = replace(world, shares=shares)
        low, high = (middle, high) if within_prompt_correlation(candidate) < correlation else (low, middle)
    return candidate


def respond(design: pd.DataFrame, world: World, seed: int | list[int]) -> pd.DataFrame:
    """Simulate the responses of every model to a design.

    Parameters
    ----------
    design : frame of DESIGN with the level names of the world.
    world : the world.
    seed : seed of the latent numbers.

    Returns
    -------
    Frame of OUTCOMES.
    """
    rng = np.random.default_rng(seed)
    codes = {name: pd.factorize(design[name]) for name in ("row_id", "text_id", "block")}
    names = {"persona": [BASELINE, *world.personas], "task": world.tasks, "template": world.templates}
    level = {name: pd.Index(values).get_indexer(design[name]) for name, values in names.items()}
    text = codes["text_id"][0]
    prompt = pd.factorize(text * len(world.templates) + level["template"])[0]
    single = pd.factorize(prompt * (len(world.personas) + 1) + level["persona"])[0]
    shared = (design["model"] == ALL).all()
    asked = pd.Index(world.models).get_indexer(design["model"]) if not shared else None
    a, b, c = np.sqrt(world.shares)
    g, d = np.sqrt(world.text_persona), np.sqrt(1 - sum(world.shares) - world.text_persona)
    shares, scales = zip(*world.kinds, strict=True)
    u = rng.standard_normal(text.max() + 1)
    if len(scales) > 1:
        u *= rng.choice(scales, len(u), p=shares)
    of_text = a * u[text] * np.where(np.isin(level["persona"], world.opposite), -1, 1)
    if g:
        of_text = of_text + g * rng.standard_normal((len(u), len(world.personas) + 1))[text, level["persona"]]

    rows, models, refusals = [], [], []
    for m in range(len(world.models)):
        own = np.arange(len(design)) if shared else np.flatnonzero(asked == m)
        parts = [rng.standard_normal(code.max() + 1)[code[own]] for code in (text, prompt, single)]
        mean = world.mean[m][level["persona"][own], level["task"][own], level["template"][own]]
        refusals.append(mean + of_text[own] + b * parts[0] + c * parts[1] + d * parts[2] > 0)
        rows.append(own)
        models.append(np.full(len(own), m))
    rows, models = np.concatenate(rows), np.concatenate(models)
    columns = {"model": pd.Categorical.from_codes(models, world.models)}
    for name in ("task", "persona", "template"):
        columns[name] = pd.Categorical.from_codes(level[name][rows], names[name])
    for name, (code, values) in codes.items():
        columns[name] = pd.Categorical.from_codes(code[rows], values)
    code, values = pd.factorize(design["format"])
    columns["format"] = pd.Categorical.from_codes(code[rows], values)
    frame = pd.DataFrame(columns)[OUTCOME_LEVELS]
    frame["draw"] = design["draw"].to_numpy("int16")[rows]
    frame["interim_look"] = design["interim_look"].to_numpy("int16")[rows]
    frame["labeller"] = pd.Categorical.from_codes(np.zeros(len(frame), np.int8), ["simulated"])
    return frame.assign(refusal=np.concatenate(refusals))
