<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * An answer says that it is well, and cannot be read.
 */
final class InvalidResponseError extends APIConnectionError
{
}
