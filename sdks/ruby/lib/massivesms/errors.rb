# frozen_string_literal: true

module MassiveSMS
  # The base of all errors.
  class Error < StandardError; end

  # A key, base URL, id or option that cannot be used: no request was made.
  class ConfigurationError < Error; end

  # No answer came. Whether the request was done is not known: send it again with its idempotency key.
  class APIConnectionError < Error
    # @return [String, nil] the key of the request; nil for reads
    attr_reader :idempotency_key
    # @return [Integer] how often the request was sent
    attr_reader :attempts

    def initialize(message, idempotency_key: nil, attempts: 1)
      @idempotency_key = idempotency_key
      @attempts = attempts
      super(idempotency_key ? "#{message} [idempotency key #{idempotency_key}]" : message)
    end
  end

  # The time of an attempt, or of all of them, ran out.
  class APITimeoutError < APIConnectionError; end

  # An answer says that it is well, and cannot be read.
  class InvalidResponseError < APIConnectionError
    # @return [Response] the answer as it came
    attr_accessor :response
  end

  # An answer that refuses a request.
  class APIStatusError < Error
    # @return [Response] the answer as it came
    attr_reader :response

    # Return the error of an answer: of the class of its type, or else of its status.
    # `hide` is the API key, should the service repeat it.
    def self.of(response, hide: nil)
      error = read(response.body)
      error = error.merge("message" => error["message"].gsub(hide, "[API key]")) if hide && error["message"]
      type = error["type"]
      kind = type ? BY_TYPE.fetch(type, APIStatusError) : by_status(response.status)
      kind.new(response, error)
    end

    def self.read(body)
      parsed = JSON.parse(body)
      error = parsed.is_a?(Hash) ? parsed["error"] : nil
      return {} unless error.is_a?(Hash)

      TEXTS.all? { |name| error[name].nil? || error[name].is_a?(String) } ? error : {}
    rescue JSON::ParserError, EncodingError
      {}
    end
    private_class_method :read

    def self.by_status(status) = BY_STATUS.fetch(status) { status >= 500 ? ServerError : APIStatusError }
    private_class_method :by_status

    TEXTS = %w[type code message param request_id doc_url existing_id].freeze
    private_constant :TEXTS

    def initialize(response, error = {})
      @response = response
      @error = error
      super(text)
    end

    # @return [Integer] the HTTP status
    def status = @response.status
    # @return [String, nil] the kind of error; more may come
    def type = @error["type"]
    # @return [String, nil] what went wrong; more may come
    def code = @error["code"]
    # @return [String] what the service says, for people; it may change
    def api_message = @error["message"] || "The server answered #{status}."
    # @return [String, nil] the parameter at fault, as a dotted path
    def param = @error["param"]
    # @return [String, nil] what support asks for
    def request_id = @error["request_id"] || @response.request_id
    # @return [String, nil] the page that explains the code
    def doc_url = @error["doc_url"]
    # @return [Integer, nil] how many credits are needed
    def required = @error["required"]
    # @return [Integer, nil] how many credits are left
    def available = @error["available"]
    # @return [String, nil] when the count of a cap starts again
    def resets_at = @error["resets_at"]
    # @return [String, nil] what is there already, with codes such as contact_exists
    def existing_id = @error["existing_id"]
    # @return [Integer, nil] how many seconds the service asked to wait
    def retry_after = @response.retry_after
    # @return [String, nil] the key of the request: the same request with it is never done twice
    def idempotency_key = @response.idempotency_key
    # @return [Integer] how often the request was sent
    def attempts = @response.attempts
    # @return [Hash] all that the error says, by its names on the wire
    def details = @error

    private

    def text
      parts = { "param" => param, "request" => request_id, "idempotency key" => idempotency_key }
      told = parts.compact.map { |name, value| " [#{name} #{value}]" }.join
      "#{[status, code].compact.join(" ")}: #{api_message}#{told}"
    end
  end

  # A fault of the service.
  class ServerError < APIStatusError; end
  # A missing, wrong or revoked API key.
  class AuthenticationError < APIStatusError; end
  # A key that may not do this.
  class PermissionDeniedError < APIStatusError; end
  # A message that may not be sent.
  class ComplianceError < APIStatusError; end
  # A request that the state of a resource does not admit.
  class ConflictError < APIStatusError; end
  # A misuse of an idempotency key, or one in use.
  class IdempotencyError < APIStatusError; end
  # A request that the service cannot read or do.
  class InvalidRequestError < APIStatusError; end
  # A balance or cap that does not suffice.
  class PaymentRequiredError < APIStatusError; end
  # Too many requests.
  class RateLimitError < APIStatusError; end

  class APIStatusError
    BY_TYPE = {
      "api_error" => ServerError, "authentication_error" => AuthenticationError,
      "permission_error" => PermissionDeniedError, "compliance_error" => ComplianceError,
      "conflict_error" => ConflictError, "idempotency_error" => IdempotencyError,
      "invalid_request_error" => InvalidRequestError, "payment_required_error" => PaymentRequiredError,
      "rate_limit_error" => RateLimitError
    }.freeze
    BY_STATUS = {
      400 => InvalidRequestError, 401 => AuthenticationError, 402 => PaymentRequiredError, 403 => PermissionDeniedError,
      404 => InvalidRequestError, 409 => ConflictError, 422 => ComplianceError, 429 => RateLimitError
    }.freeze
    private_constant :BY_TYPE, :BY_STATUS
  end

  # The body of a webhook that is signed well, and is no event.
  class InvalidPayloadError < Error; end

  # A webhook that is not to be trusted: answer 400.
  class SignatureVerificationError < Error
    # @return [Symbol] :header_missing, :header_malformed, :timestamp_outside_tolerance, :no_match or :secret_missing
    attr_reader :reason

    def initialize(reason, message)
      @reason = reason
      super(message)
    end
  end
end
