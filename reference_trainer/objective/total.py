"""Eq. 6 of Ring-lite (arXiv 2506.14731): the whole loss."""

from torch import Tensor

from reference_trainer.config import EntropySign


def total_loss(
    policy: Tensor,
    entropy: Tensor,
    balance: Tensor,
    z: Tensor,
    *,
    entropy_coefficient: float,
    balance_coefficient: float,
    z_coefficient: float,
    entropy_sign: EntropySign = "bonus",
) -> Tensor:
    """Eq. 6: L = L_C3PO - a_entropy H + a_balance B + a_z Z.

    The equation is printed with + a_entropy H, which a minimiser would use to lower the entropy, while the text wants
    exploration: ``bonus`` subtracts, ``paper`` adds as printed.

    Args:
        policy: Eq. 2 (``c3po_loss``) or Eq. 1 (``grpo_loss``).
        entropy: Eq. 4 (``entropy_term``).
        balance: Eq. 5 (``balance_loss``).
        z: Eq. 5 (``z_loss``).
        entropy_coefficient: a_entropy.
        balance_coefficient: a_balance.
        z_coefficient: a_z.
        entropy_sign: See above.

    Returns:
        Scalar; additive over micro-batches because each term is.
    """
    sign = -1.0 if entropy_sign == "bonus" else 1.0
    return policy + sign * entropy_coefficient * entropy + balance_coefficient * balance + z_coefficient * z
