"""How often one may try to sign in: at one account, whoever asks, and from one address, whichever account."""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.tenancy.public.limits import PublicLimits, Rate, line_of

__all__ = ["SignInLimits"]

ADDRESSES = 6
"""An office shares its address: so many accounts' worth of attempts are its."""


@dataclass(frozen=True)
class SignInLimits:
    """`per_minute` attempts at one account; the counters are those of the public's limits."""

    limits: PublicLimits
    per_minute: int

    async def spend(self, account: str, address: str | None) -> None:
        """Count one attempt, whether there is such an account or not.

        Raises:
            RateLimitedError: too many came lately.
        """
        of_account, of_address = self.per_minute, self.per_minute * ADDRESSES
        await self.limits.spend(f"sign-in:address:{line_of(address)}", Rate(of_address, of_address))
        await self.limits.spend(f"sign-in:account:{account}", Rate(of_account, of_account))
