"""The operations of suppressions, consent, export and erasure, as those beside them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.graphql_api.operations import Operation
from tests.graphql_api.studio import SUPPRESSED

CONSENT_OPERATIONS = (
    Operation(
        "Suppressions",
        2,
        lambda s: {"suppressions.nodes.0.id": s.suppression, "suppressions.totalCount": 1},
        lambda s: {},
    ),
    Operation(
        "Suppression",
        1,
        lambda s: {"suppression.phone": SUPPRESSED, "suppression.source": "complaint"},
        lambda s: {"id": s.suppression},
    ),
    Operation(
        "CreateSuppression",
        12,
        lambda s: {"createSuppression.phone": "+12125550103", "createSuppression.source": "complaint"},
        lambda s: {"input": {"phone": "+12125550103", "source": "complaint"}},
    ),
    Operation(
        "ImportSuppressions",
        12,
        lambda s: {
            "importSuppressions": {
                "__typename": "SuppressionsImported",
                "added": 1,
                "alreadySuppressed": 1,
                "invalid": ["12"],
            }
        },
        lambda s: {"phones": ["+12125550177", "12", SUPPRESSED]},
    ),
    Operation(
        "LiftSuppression",
        13,
        lambda s: {"liftSuppression.phone": SUPPRESSED, "liftSuppression.optIn.status": "OPTED_IN"},
        lambda s: {
            "id": s.suppression,
            "optIn": {
                "source": "checkout",
                "text": "Text me again.",
                "at": datetime.now(UTC).isoformat(),
                "renewed": True,
            },
        },
    ),
    Operation(
        "ConsentHistory",
        2,
        lambda s: {
            "consentHistory.nodes.0.status": "OPTED_OUT",
            "consentHistory.nodes.0.sequence": 1,
            "consentHistory.totalCount": 1,
        },
        lambda s: {"phone": SUPPRESSED},
    ),
    Operation(
        "ContactExport",
        15,
        lambda s: {
            "contactExport.id": s.maria,
            "contactExport.contact.phone": "+12125550101",
            "contactExport.lists.0.id": s.contact_list,
            "contactExport.messages.0.id": s.message,
            "contactExport.inbound_messages.0.id": s.inbound,
            "contactExport.notes": [],
            "contactExport.complete": True,
        },
        lambda s: {"id": s.maria},
    ),
    Operation(
        "EraseContact",
        66,
        lambda s: {"eraseContact.__typename": "ContactErased", "eraseContact.id": s.maria},
        lambda s: {"id": s.maria},
    ),
)
