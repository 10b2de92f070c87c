"""Claims on vision transformers (chapters 15 and 16); see claims_register.py."""

from __future__ import annotations

import math

from igbrepro.results import Outcome
from igbrepro.rules import Claim, all_of, between, greater

_A_BLOCK = "log10 of the factor a block"
_SECTION = "arXiv:2505.12096, section on experiments, training dynamics of the simplified vision transformer"
_PRETRAINED = "arXiv:2505.12096, section on experiments, fine-tuning of a pre-trained vision transformer"

VIT: list[Claim] = [
    Claim(
        id="vit-edge",
        title="The simplified vision transformer has its edge at the critical σ_w²",
        statement="In a vision transformer without layer norm and skip connections, signal and gradient keep their "
        "size from block to block (to within a quarter) where every matrix has its critical σ_w², shrink below it and "
        "grow above it.",
        source=f"{_SECTION}; the critical values of its layers; growth by block ours",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            *(between(f"{what} at the edge, {_A_BLOCK}", -0.1, 0.1) for what in ("signal", "gradient")),
            *(between(f"{what} below the edge, {_A_BLOCK}", -math.inf, -0.1) for what in ("signal", "gradient")),
            *(between(f"{what} above the edge, {_A_BLOCK}", 0.1, math.inf) for what in ("signal", "gradient")),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="vit-attention-growth",
        title="Above the edge attention lets the gradient outgrow the signal",
        statement="In every block of the simplified vision transformer the signal is multiplied by the fourth power of "
        "the ratio of σ_w² to its critical value (to within a quarter), as even attention predicts, but above the edge "
        "the gradient grows faster than the signal, since attention is no longer even.",
        source="ours",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            between(f"signal over ratio⁴, worst ratio, {_A_BLOCK}", -0.1, 0.1),
            greater(f"gradient over signal above the edge, {_A_BLOCK}", 0.0),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="vit-rank-collapse",
        title="Without skip connections tokens collapse, also at the edge",
        statement="In the untrained simplified vision transformer the tokens of one image become nearly the same "
        "(mean cosine above 0.9) at every ratio of σ_w², the critical one included; in the one with layer norm and "
        "skip connections they stay apart.",
        source="ours; rank collapse of attention without skip connections is due to Dong et al. 2021",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            between("tokens of one image, simplified, least alike ratio", 0.9, 1.0),
            between("tokens of one image, full, most alike ratio", -1.0, 0.9),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="vit-start-ordered",
        title="The simplified vision transformer starts the more biased the smaller σ_w²",
        statement="The largest class fraction of the untrained simplified vision transformer falls as σ_w² rises, by "
        "0.02 or more from the ordered phase to the edge and from there to the chaotic phase.",
        source="the order of the phases in arXiv:2505.12096, section on phases, taken over to this network; "
        "exploratory",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            between("below minus at the edge, largest class fraction", 0.02, math.inf),
            between("at minus above the edge, largest class fraction", 0.02, math.inf),
        ),
        expected=Outcome.NOT_REPRODUCED,
    ),
    Claim(
        id="vit-norm-indifferent",
        title="With layer norm and skip connections σ_w² hardly matters",
        statement="A vision transformer with layer norm and skip connections starts with the same largest class "
        "fraction (to within 0.05) and learns in the same time (to within a factor of two) at every ratio of σ_w².",
        source="ours",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            between("farthest ratio minus ratio 1, full, largest class fraction", -0.05, 0.05),
            between("farthest ratio over ratio 1, full, log10 of steps", -math.log10(2), math.log10(2)),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="vit-simplified-first",
        title="The simplified vision transformer learns first at the edge",
        statement="Of simplified vision transformers that differ in the variance of their weights alone, those with "
        "the critical σ_w² are the first to learn.",
        source=_SECTION,
        notebook="experiments/15_vision_transformers",
        rule=greater("closest rival over edge, log10", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="vit-simplified-final",
        title="The simplified vision transformer ends best at the edge",
        statement="At the end of training, simplified vision transformers that started with the critical σ_w² have the "
        "highest test accuracy.",
        source=_SECTION,
        notebook="experiments/15_vision_transformers",
        rule=greater("edge minus closest rival, final accuracy", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="vit-chaotic-lags",
        title="Above the edge the simplified vision transformer lags",
        statement="Simplified vision transformers that started above the edge learn later than those at the edge, and "
        "end with a lower test accuracy.",
        source=f"{_SECTION}; exploratory",
        notebook="experiments/15_vision_transformers",
        rule=all_of(
            greater("above over edge, log10 of steps", 0.0, z=2),
            greater("edge minus above, final accuracy", 0.0, z=2),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pretrained-bias-rescaled",
        title="Scaling pre-trained weights down makes the start more biased",
        statement="With a fresh head, a pre-trained vision transformer is the more biased the smaller the factor by "
        "which its weights were multiplied, as the order from ordered to chaotic suggests.",
        source=_PRETRAINED,
        notebook="experiments/16_pretrained",
        rule=all_of(
            greater("smallest factor minus 1, largest class fraction", 0.0, z=2),
            greater("1 minus largest factor, largest class fraction", 0.0, z=2),
        ),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="pretrained-small-factor",
        title="Pre-trained weights scaled far down give one answer",
        statement="Multiplied by a small enough factor, the smallest of the sweep, the weights of a pre-trained "
        "vision transformer leave nearly all images with one class, since only constants reach the class token.",
        source="ours; exploratory",
        notebook="experiments/16_pretrained",
        rule=between("largest class fraction, smallest factor of the sweep", 0.9, math.inf),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="pretrained-law",
        title="γ of the features predicts the bias, also after training",
        statement="The mean largest class fraction of random heads on the features of a pre-trained vision "
        "transformer, rescaled or not, is the one that the γ of these features predicts, to within 0.05.",
        source="ours; the law is that of arXiv:2505.12096 for untrained networks",
        notebook="experiments/16_pretrained",
        rule=between("measured minus predicted, worst factor", -0.05, 0.05),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="pretrained-head-best",
        title="A head learns best on weights as they were trained",
        statement="When only the head is trained, the pre-trained vision transformer whose weights were left as they "
        "were ends with the highest test accuracy.",
        source=_PRETRAINED,
        notebook="experiments/16_pretrained",
        rule=greater("factor 1 minus closest rival, accuracy of the head stage", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="pretrained-all-best",
        title="Fine-tuning all weights ends best from weights as they were trained",
        statement="After all weights have been fine-tuned, the network that started from unscaled pre-trained weights "
        "has the highest test accuracy.",
        source=_PRETRAINED,
        notebook="experiments/16_pretrained",
        rule=greater("factor 1 minus closest rival, accuracy of the last stage", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="pretrained-scaled-up-lags",
        title="Fine-tuning from weights scaled up ends lower",
        statement="After all weights have been fine-tuned, the network that started from pre-trained weights scaled up "
        "has a lower test accuracy than the one that started from unscaled weights.",
        source=f"{_PRETRAINED}; exploratory",
        notebook="experiments/16_pretrained",
        rule=greater("factor 1 minus largest factor, accuracy of the last stage", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
]
