<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A key, base URL, id or option that cannot be used: no request was made.
 */
final class ConfigurationError extends MassiveSMSError
{
}
