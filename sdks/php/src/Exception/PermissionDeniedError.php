<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A key that may not do this.
 */
final class PermissionDeniedError extends APIStatusError
{
}
