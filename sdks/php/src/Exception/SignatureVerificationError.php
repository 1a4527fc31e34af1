<?php

declare(strict_types=1);

namespace MassiveSMS\Exception;

/**
 * A webhook that is not to be trusted: answer 400.
 */
final class SignatureVerificationError extends MassiveSMSError
{
    /**
     * @param string $reason header_missing, header_malformed, timestamp_outside_tolerance, no_match or secret_missing
     */
    public function __construct(public readonly string $reason, string $message)
    {
        parent::__construct($message);
    }
}
