<?php

// Takes webhooks with Slim 4: composer require slim/slim slim/psr7, then php -S 127.0.0.1:8080 slim_receiver.php

use MassiveSMS\Exception\SignatureVerificationError;
use MassiveSMS\Webhooks;
use Psr\Http\Message\ResponseInterface as Response;
use Psr\Http\Message\ServerRequestInterface as Request;
use Slim\Factory\AppFactory;

require 'vendor/autoload.php';

$app = AppFactory::create();
$app->post('/webhooks/sms', function (Request $request, Response $response): Response {
    try {
        $header = $request->getHeaderLine(Webhooks::HEADER);
        $event = Webhooks::constructEvent((string) $request->getBody(), $header, (string) getenv('MASSIVESMS_WEBHOOK_SECRET'));
    } catch (SignatureVerificationError $failure) {
        $response->getBody()->write($failure->getMessage());

        return $response->withStatus(400);
    }
    // The same event may come again: remember its id. Do long work elsewhere, and answer within 10 seconds.
    error_log("{$event->type} {$event->id}");

    return $response->withStatus(204);
});
$app->run();
