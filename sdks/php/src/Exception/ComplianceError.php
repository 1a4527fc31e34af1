<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A message that may not be sent.
 */
final class ComplianceError extends APIStatusError
{
}
