"""Every route."""

from __future__ import annotations

from . import auth, catalogue, documentation, operations, pages, preferences, records, single_sign_on, users
from .route import Route

ROUTES: tuple[Route, ...] = (
    *operations.ROUTES,
    *catalogue.ROUTES,
    *auth.ROUTES,
    *single_sign_on.ROUTES,
    *users.ROUTES,
    *preferences.ROUTES,
    *records.ROUTES,
    *documentation.ROUTES,
    *pages.ROUTES,
)
