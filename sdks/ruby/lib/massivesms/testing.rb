# frozen_string_literal: true

require "massivesms/errors"
require "massivesms/transport"

module MassiveSMS
  # Helps to test code that uses MassiveSMS.
  module Testing
    # A sandbox key that is well formed and that no service knows.
    KEY = "msvs_test_0000000000000000000000000000002C8GjS"

    # Return the header that signs a payload.
    def self.sign(payload, secret, timestamp: Time.now) = Webhooks.sign(payload, secret, timestamp: timestamp)

    # Answers requests in turn from memory, and keeps them. Give it to Client.new(transport:).
    class Transport
      # @return [Array<Request>] what was sent until now
      attr_reader :requests

      # @param answers [Array<Hash, Exception>] status, headers and body of each; an exception is raised
      def initialize(*answers)
        @answers = answers
        @requests = []
        @mutex = Mutex.new
      end

      # Answer a request.
      def call(request, timeout:) # rubocop:disable Lint/UnusedMethodArgument
        answer = @mutex.synchronize do
          @requests << request.dup.tap { |kept| kept.headers = request.headers.dup }
          @answers.shift
        end
        raise IOError, "no answer is left" if answer.nil?
        raise answer if answer.is_a?(Exception)

        headers = answer.fetch(:headers, {}).transform_keys(&:downcase)
        Response.new(status: answer.fetch(:status, 200), headers: headers, body: answer.fetch(:body, "{}"))
      end
    end
  end
end
