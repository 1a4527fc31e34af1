<?php

// app/Http/Controllers/WebhookController.php, with Route::post('/webhooks/sms', WebhookController::class) in routes/api.php,
// where no CSRF token is asked for.

namespace App\Http\Controllers;

use Illuminate\Http\Request;
use Illuminate\Http\Response;
use MassiveSMS\Exception\SignatureVerificationError;
use MassiveSMS\Webhooks;

final class WebhookController
{
    public function __invoke(Request $request): Response
    {
        try {
            $header = $request->header(Webhooks::HEADER);
            $event = Webhooks::constructEvent($request->getContent(), $header, (string) getenv('MASSIVESMS_WEBHOOK_SECRET'));
        } catch (SignatureVerificationError $failure) {
            return new Response($failure->getMessage(), 400);
        }
        // The same event may come again: remember its id. Do long work in a job, and answer within 10 seconds.
        error_log("{$event->type} {$event->id}");

        return new Response('', 204);
    }
}
