<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * The body of a webhook is signed well, and is no event.
 */
final class InvalidPayloadError extends MassiveSMSError
{
}
