"""Cohen's kappa of two raters, from their table of counts."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats import inter_rater


def cohens_kappa(counts: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Kappa (Cohen 1960) of a table (k, k) of counts, with asymptotic limits (Fleiss, Cohen and Everitt 1969).

    Parameters
    ----------
    counts : (k, k) how often the first rater gave the class of the row and the second that of the column.
    level : confidence level of the limits.

    Returns
    -------
    kappa, lower and upper limit; NaN where nothing was rated or both raters gave one and the same class throughout.
    """
    counts = np.asarray(counts, float)
    if np.diag(counts).max() == counts.sum():
        return np.nan, np.nan, np.nan
    found = inter_rater.cohens_kappa(counts)
    reach = stats.norm.ppf((1 + level) / 2) * found.std_kappa
    return float(found.kappa), float(found.kappa - reach), float(min(found.kappa + reach, 1.0))
