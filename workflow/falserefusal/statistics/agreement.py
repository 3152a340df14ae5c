"""Agreement of two raters: Cohen's kappa from their table of counts."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats import inter_rater


def cohens_kappa(counts: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Cohen's kappa (Cohen 1960) with an asymptotic confidence interval (Fleiss, Cohen and Everitt 1969).

    Parameters
    ----------
    counts : (k, k) number of items by class of the first rater (rows) and class of the second (columns).
    level : confidence level.

    Returns
    -------
    Kappa, lower and upper confidence limit. NaN if there are no items, or if both raters always give the same one
    class.
    """
    counts = np.asarray(counts, float)
    if np.diag(counts).max() == counts.sum():
        return np.nan, np.nan, np.nan
    found = inter_rater.cohens_kappa(counts)
    reach = stats.norm.ppf((1 + level) / 2) * found.std_kappa
    return float(found.kappa), float(found.kappa - reach), float(min(found.kappa + reach, 1.0))
